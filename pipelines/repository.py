"""What a repository at the Hub says of itself, before any of its files is downloaded; all of it bounded.

A listing of a hundred thousand files, a configuration of a gigabyte or one nested a million deep costs one sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pipelines import hub_requests
from pipelines.errors import VisitorError
from pipelines.hub_errors import NotTheHub

MOST_ANSWER, MOST_FILES = 12_000_000, 10_000
MOST_CONFIG, DEEPEST, MOST_VALUES = 2_000_000, 32, 200_000
MOST_LABELS, LONGEST_LABEL = 5_000, 400
MOST_LAYERS, MOST_EXPERTS, LARGEST = 1_000, 2_048, 1 << 34
_LAYERS = re.compile(r"layers?$|^depths?$|num_blocks?$|^n_layer|num_hidden")
_LOOPS = re.compile(r"position|num_beams|n_ctx|buckets")


@dataclass(frozen=True)
class Repository:
    """The facts of GET /api/models/{id}.

    Attributes:
        id: Hub id.
        files: {name: bytes}.
        gated: Its licence must be accepted first.
        license: As the model card names it.
        pipeline_tag: The task the Hub lists it under.
        parameters: Number of parameters in its safetensors, as the Hub counted them; None when it did not.
    """

    id: str
    files: Mapping[str, int] = field(repr=False)
    gated: bool = False
    license: str | None = None
    pipeline_tag: str | None = None
    parameters: int | None = None

    def top_level(self, patterns: Iterable[str]) -> dict[str, int]:
        """Return {name: bytes} of the files in no folder whose names match one of the patterns (fnmatch)."""
        patterns = tuple(patterns)
        matching = (name for name in self.files if any(fnmatch(name, pattern) for pattern in patterns))
        return {name: self.files[name] for name in matching if "/" not in name}


def look_up(model_id: str, how: hub_requests.Access) -> Repository:
    """Ask the Hub for a repository's facts: one short request that tells what is wrong, when something is.

    Raises:
        VisitorError: too_many_files. NotTheHub, and what huggingface_hub and httpx2 raise (see `download.plain`).
    """
    try:
        said = hub_requests.get_json(f"/api/models/{model_id}?blobs=true", how, MOST_ANSWER)
    except hub_requests.TooLong as error:
        raise VisitorError("too_many_files", model=model_id, limit=f"{MOST_FILES:,}") from error
    siblings = said.get("siblings", [])
    if not isinstance(siblings, list) or not ("id" in said or "modelId" in said):
        raise NotTheHub
    if len(siblings) > MOST_FILES:
        raise VisitorError("too_many_files", model=model_id, limit=f"{MOST_FILES:,}")
    files = {each["rfilename"]: _whole(each.get("size")) or 0 for each in siblings if _named(each)}
    card, counted = (said.get(name) if isinstance(said.get(name), dict) else {} for name in ("cardData", "safetensors"))
    return Repository(
        model_id, files, bool(said.get("gated")), _text(card.get("license")), _text(said.get("pipeline_tag")),
        _whole(counted.get("total")),
    )  # fmt: skip


def fetch_config(model_id: str, repository: Repository, how: hub_requests.Access) -> dict[str, Any]:
    """Return config.json of a repository, read into memory only.

    Raises:
        VisitorError: not_a_model, config_too_big, config_claims. Otherwise what huggingface_hub and httpx2 raise.
    """
    if "config.json" not in repository.files:
        raise VisitorError("not_a_model", model=model_id)
    if repository.files["config.json"] > MOST_CONFIG:
        raise VisitorError("config_too_big", model=model_id, file="config.json")
    try:
        body = hub_requests.get(f"/{model_id}/resolve/main/config.json", how, MOST_CONFIG)
    except hub_requests.TooLong as error:
        raise VisitorError("config_too_big", model=model_id, file="config.json") from error
    return check_config(model_id, body)


def read_config(model_id: str, path: Path) -> dict[str, Any]:
    """Return a config.json that is on this machine.

    Raises:
        VisitorError: not_a_model, config_too_big, config_claims.
    """
    try:
        with path.open("rb") as file:
            body = file.read(MOST_CONFIG + 1)
    except OSError as error:
        raise VisitorError("not_a_model", model=model_id) from error
    if len(body) > MOST_CONFIG:
        raise VisitorError("config_too_big", model=model_id, file=path.name)
    return check_config(model_id, body)


def check_config(model_id: str, body: bytes) -> dict[str, Any]:
    """Return the configuration in `body`, when a model could be built from it without filling this machine.

    transformers makes a label for each of num_labels and a module for each of num_hidden_layers before it looks into
    the weights: the numbers must be such as models have.

    Raises:
        VisitorError: not_a_model, config_claims.
    """
    config = parse(body)
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise VisitorError("not_a_model", model=model_id)
    for name, value in _pairs(config):
        if _absurd(name, value):
            raise VisitorError("config_claims", model=model_id, name=str(name)[:60])
    return config


def parse(body: bytes) -> Any:
    """Return the JSON in `body`; None when it is broken, nested too deep or holds too many values."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    level, seen = [value], 0
    for _ in range(DEEPEST):
        inside: list[Any] = []
        for each in level:
            inside += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        seen += len(inside)
        if not inside or seen > MOST_VALUES:
            break
        level = inside
    else:
        return None
    return value if seen <= MOST_VALUES else None


def memory(parameters: int) -> int:
    """Return the bytes that a model takes once it is loaded, in float32."""
    return 4 * parameters


def _pairs(config: dict[str, Any]) -> list[tuple[str, Any]]:
    pairs, level = [], [config]
    while level:
        found = [pair for each in level for pair in each.items()]
        pairs += found
        values = [value for _, value in found]
        level = [each for value in values for each in (value if isinstance(value, list) else [value])]
        level = [each for each in level if isinstance(each, dict)]
    return pairs


def _absurd(name: str, value: Any) -> bool:
    if name in ("id2label", "label2id") and isinstance(value, dict):
        texts = (str(each) for pair in value.items() for each in pair)
        return len(value) > MOST_LABELS or any(len(text) > LONGEST_LABEL for text in texts)
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            continue
        if "num_labels" in name and number > MOST_LABELS:
            return True
        if _LAYERS.search(name) and number > MOST_LAYERS or "experts" in name and number > MOST_EXPERTS:
            return True
        if _LOOPS.search(name) and number > 1 << 25 or isinstance(number, int) and abs(number) > LARGEST:
            return True
    return False


def _named(sibling: Any) -> bool:
    return isinstance(sibling, dict) and isinstance(sibling.get("rfilename"), str)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: Any) -> str | None:
    return value[:80] if isinstance(value, str) else None

"""What a model would cost and whether it can be used, before anything heavy is fetched."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines import catalog, download, hub, hub_errors, loading, painter_files, painters, repository, weight_files
from pipelines.cache import default_budget
from pipelines.errors import VisitorError
from pipelines.fetching import RESERVE


@dataclass(frozen=True)
class ModelCheck:
    """What is known of a model for a task, without having downloaded it.

    Attributes:
        id: As asked for.
        task: As asked for.
        state: "pocket", "cached" or "remote".
        exists: The Hub or this machine has it; None when the Hub could not be asked.
        fits_task: Its configuration is one of the task; None when that could not be told.
        safetensors: Its weights are safetensors, not a pickle.
        parameters: How many; None when not even the Hub says.
        download: Bytes to fetch: 0 for what is here.
        license: As its page names it.
        gated: Its licence must be accepted first.
        fits_memory: Loaded, it stays within the memory for models.
        fits_disk: There is room for what must be fetched.
        problem: Why it cannot be used, as the error that using it would raise; None when it can.
        files: {file: bytes} that would be fetched.
    """

    id: str
    task: str
    state: str = "remote"
    exists: bool | None = None
    fits_task: bool | None = None
    safetensors: bool = False
    parameters: int | None = None
    download: int = 0
    license: str | None = None
    gated: bool = False
    fits_memory: bool = True
    fits_disk: bool = True
    problem: VisitorError | None = None
    files: Mapping[str, int] = field(default_factory=dict, repr=False)


OTHER_KIND = ("wrong_task", "unknown_architecture", "own_code", "missing_head")
ABSENT = ("unknown_model", "bad_model_id")
TOKENIZE = "tokenize"


def check(model_id: object, task: str) -> ModelCheck:
    """Tell whether a model can be used for a task, and what it costs; at most its configuration is fetched.

    Args:
        model_id: Hub id or pocket/<name>, as a visitor typed it.
        task: Of catalog.TASKS or catalog.IMAGE_TASKS.

    Returns:
        ModelCheck. It never raises for a model that cannot be used: `problem` says why, in a sentence that exists in
        both languages.
    """
    found = ModelCheck(str(model_id)[:200], task)
    try:
        name = hub.check_id(model_id)
        known = catalog.card(name)
        if known is not None:
            found = replace(found, license=known.license, gated=known.gated, exists=True)
            if task not in known.tasks:
                raise VisitorError("wrong_task", model=name, task=task, made_for=known.tasks[0])
        with download.plain(name):
            return _painter(found) if task == painter_files.TASK else _model(found)
    except VisitorError as error:
        return _refused(found, error)


def check_tokenizer(model_id: object) -> ModelCheck:
    """As `check`, for a model's tokenizer alone: no weights are counted, and any model's will do."""
    found = ModelCheck(str(model_id)[:200], TOKENIZE)
    try:
        here = hub.tokenizer_here(hub.check_id(model_id))
        if here is not None:
            return replace(found, state="cached" if here.source == "cache" else "pocket", exists=True, fits_task=True)
        with download.plain(found.id):
            there = hub.look_up(found.id)
            found = replace(found, exists=True, gated=there.gated, license=there.license)
            wanted = hub.choose_tokenizer(there)
        found = replace(found, fits_task=True, download=sum(wanted.values()), files=wanted)
        return _fits(found, 0)
    except VisitorError as error:
        return _refused(found, error)


def _refused(found: ModelCheck, error: VisitorError) -> ModelCheck:
    if error.key in ABSENT:
        found = replace(found, exists=False)
    if error.key in OTHER_KIND:
        found = replace(found, exists=True, fits_task=False)
    return replace(
        found, problem=error, gated=found.gated or error.key == "gated", fits_memory=error.key != "too_big",
        safetensors=False if error.key == "pickle_only" else found.safetensors,
    )  # fmt: skip


def _model(found: ModelCheck) -> ModelCheck:
    kind, _ = loading.kind_of(catalog.card(found.id), found.task)
    here = hub.here(found.id, kind)
    files, pickled = hub.weights(here.path) if here else ([], False)
    if here is not None and (pickled or not any(map(_broken, files))):
        count = None if pickled or not files else weight_files.parameters(files, found.id)
        state = "cached" if here.source == "cache" else "pocket"
        found = replace(found, state=state, exists=True, fits_task=True, safetensors=not pickled, parameters=count)
        return _fits(found, repository.memory(count or 0))
    there = hub.look_up(found.id)
    found = replace(
        found, exists=True, gated=there.gated, license=there.license or found.license, parameters=there.parameters,
        safetensors=any(name in there.files for name in (hub.SAFE, hub.SAFE_INDEX)),
    )  # fmt: skip
    try:
        with download.plain(found.id):
            wanted, pickled = hub.choose(there, kind)
    except VisitorError as error:
        too_big = error.key == "too_big"
        return replace(
            found, problem=error, fits_memory=not too_big, gated=found.gated or error.key == "gated",
            fits_task=False if error.key in OTHER_KIND else True if too_big else None,
        )  # fmt: skip
    found = replace(found, fits_task=True, safetensors=not pickled, download=sum(wanted.values()), files=wanted)
    return _fits(found, repository.memory(there.parameters or 0))


def _painter(found: ModelCheck) -> ModelCheck:
    files = painter_files.find(found.id)
    state = "remote" if files.folder is None else "cached" if files.source == "cache" else "pocket"
    size = 0 if files.folder is not None else sum(files.files.values())
    count = sum(files.parameters().values())
    found = replace(
        found, state=state, exists=True, fits_task=True, safetensors=not files.allow_pickle, parameters=count or None,
        download=size, files={} if files.folder is not None else files.files,
    )  # fmt: skip
    problem = painters.refusal(files)  # what fits depends on the device, and in which precision it paints
    return _fits(found, 0) if problem is None else replace(found, fits_memory=False, problem=problem)


def _fits(found: ModelCheck, needed: int) -> ModelCheck:
    """Add whether memory and disk hold a model that can be used otherwise."""
    budget, free = default_budget(), _free_on_disk()
    if needed > budget:
        problem = VisitorError("too_big", needs_mb=needed // 1_000_000, has_mb=budget // 1_000_000)
        return replace(found, fits_memory=False, problem=problem)
    if found.download and found.download + RESERVE > free:
        problem = hub_errors.disk_full(found.id, found.download, max(0, free - RESERVE))
        return replace(found, fits_disk=False, problem=problem)
    return found


def _broken(path: Path) -> bool:
    try:
        weight_files.parameters([path], "")
    except VisitorError:
        return True
    return False


def _free_on_disk() -> int:
    """Bytes free where the Hub's cache is, or will be."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE).expanduser().absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free

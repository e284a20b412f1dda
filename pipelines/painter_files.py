"""Where a diffusers repository's files come from: pocket folder, the Hub's cache, the Hub.

The rules are those of hub.py: no code of a repository runs, a visitor's id gets no token and no pickle. Only folders
that model_index.json names are fetched, and of each only the weights that will be read: full precision, or fp16 where
a repository has nothing else. Single-file checkpoints at the top are never touched.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from pipelines import catalog, download, hub, weight_files
from pipelines.errors import VisitorError
from settings import SETTINGS

TASK = "image_generation"
INDEX = "model_index.json"
FAMILIES = {
    "FluxPipeline": "flux",
    "Flux2KleinPipeline": "flux2",
    "StableDiffusionPipeline": "sd",
    "StableDiffusionXLPipeline": "sdxl",
}
WEIGHTED = ("transformer", "unet", "text_encoder", "text_encoder_2", "vae")
COMPONENTS = (*WEIGHTED, "tokenizer", "tokenizer_2", "scheduler")
LIBRARIES = ("diffusers", "transformers")
# Not needed to paint from a prompt. The checker of SD 1.5 is code of diffusers' pipeline folder, not of the library.
OMITTED = ("safety_checker", "feature_extractor", "image_encoder")
_STEMS = {"safetensors": "(?:diffusion_pytorch_model|model)", "bin": "(?:diffusion_pytorch_model|pytorch_model)"}
_SETTINGS = re.compile(r"[\w.-]+\.(?:json|txt|model|jinja)")
# Bytes that a parameter takes in the repositories of each family, where the files cannot be looked into yet.
_STORED = {"flux": 2, "flux2": 2, "sd": 4, "sdxl": 4}
_MOST_INDEX, _MOST_HEADER = 1_000_000, weight_files.MOST_HEADER


@dataclass(frozen=True)
class PainterFiles:
    """The files of a diffusers pipeline, here or still at the Hub.

    Attributes:
        id: Hub id or pocket/<name>.
        pipeline: diffusers' class name, a key of FAMILIES.
        files: {name: bytes} of what a run reads, model_index.json aside.
        folder: Folder of model_index.json when all files are here, else None.
        source: "pocket", "cache" or "hub".
        variant: "fp16" when some weights exist in half precision only.
        allow_pickle: Some weights are pickled, and reading them is allowed.
        omitted: Components that model_index.json names and that are not to be loaded.
    """

    id: str
    pipeline: str
    files: Mapping[str, int] = field(repr=False)
    folder: Path | None
    source: str
    variant: str | None = None
    allow_pickle: bool = False
    omitted: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        return FAMILIES[self.pipeline]

    def parameters(self) -> dict[str, int]:
        """Return {component: number of parameters}: counted where the files are here, else told from their size."""
        counts: dict[str, int] = {}
        for name, size in self.files.items():
            if name.endswith((".safetensors", ".bin")):
                component = name.split("/")[0]
                counts[component] = counts.get(component, 0) + self._count(name, size)
        card = catalog.card(self.id)
        if not sum(counts.values()) and card and card.size_mb:  # a Hub that does not tell sizes
            return {"transformer": int(card.size_mb * 1e6) // _STORED[self.family]}
        return counts

    def _count(self, name: str, size: int) -> int:
        if self.folder is not None and name.endswith(".safetensors"):
            return _parameters(self.folder / name)
        return size // (2 if ".fp16" in name else _STORED[self.family])


def find(model_id: str) -> PainterFiles:
    """Return what a painter consists of. Of a model that is not here, only model_index.json is fetched.

    Raises:
        VisitorError: bad_model_id, unknown_model, wrong_task, not_a_model, own_code, pickle_only, gated,
            not_here_offline, no_network, ...
    """
    known = catalog.card(hub.check_id(model_id))
    if known is not None and TASK not in known.tasks:
        raise VisitorError("wrong_task", model=model_id, task=TASK, made_for=known.tasks[0])
    if model_id.startswith("pocket/"):
        folder = hub.POCKET / model_id.removeprefix("pocket/")
        if not (folder / INDEX).is_file():
            raise VisitorError("unknown_model", model=model_id)
        return _choose(model_id, folder, _listed(folder), "pocket")
    return _cached(model_id) or _at_the_hub(model_id)


def bring(files: PainterFiles) -> PainterFiles:
    """Download what is not here yet.

    Raises:
        VisitorError: gated, download_incomplete, disk_full, hub_slow, broken_weights, ...
    """
    here: PainterFiles | None = files
    if files.folder is None:
        with download.plain(files.id):
            download.fetch(files.id, dict(files.files), hub.token(files.id), SETTINGS.hub_timeout_s)
        here = _cached(files.id)
    if here is None:
        raise VisitorError("download_incomplete", model=files.id)
    if here.source == "cache":
        weights = [here.folder / name for name in here.files if name.endswith(".safetensors")]
        weight_files.parameters(weights, here.id)
    return here


def state(model_id: str) -> str:
    """Tell whether a Hub painter is "cached" or "remote", without touching the network."""
    try:
        return "remote" if _cached(model_id) is None else "cached"
    except VisitorError:
        return "remote"


def settings(model_id: str) -> dict[str, dict[str, Any]]:
    """Return {"model_index.json": ..., "transformer/config.json": ..., ...} of a painter on this machine, {} of others.

    Never touches the network.
    """
    folder = hub.POCKET / model_id.removeprefix("pocket/") if model_id.startswith("pocket/") else _snapshot(model_id)
    if folder is None:
        return {}
    names = (INDEX, "transformer/config.json", "unet/config.json")
    return {name: content for name in names if isinstance(content := _json(folder / name), dict)}


def _at_the_hub(model_id: str) -> PainterFiles:
    with download.plain(model_id):
        sizes = hub.listing(model_id)
        head = next((name for name in (INDEX, "config.json") if name in sizes), None)
        if head is None or sizes[head] > _MOST_INDEX:
            raise VisitorError("not_a_model", model=model_id)
        download.fetch(model_id, {head: sizes[head]}, hub.token(model_id), SETTINGS.hub_timeout_s)
        folder = _snapshot(model_id, head)
        if folder is None:
            raise VisitorError("download_incomplete", model=model_id)
        if head == "config.json":
            raise _made_for_something_else(model_id, folder)
        return _choose(model_id, folder, sizes, "hub")


def _made_for_something_else(model_id: str, folder: Path) -> VisitorError:
    config = _json(folder / "config.json")
    names = config.get("architectures") or [config.get("model_type")] if isinstance(config, dict) else None
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        return VisitorError("not_a_model", model=model_id)
    return VisitorError("wrong_task", model=model_id, task=TASK, made_for=names[0][:80])


def _cached(model_id: str) -> PainterFiles | None:
    folder = _snapshot(model_id)
    if folder is None:
        return None
    try:
        return _choose(model_id, folder, _listed(folder), "cache")
    except VisitorError as error:
        if error.key in ("own_code", "wrong_task"):
            raise
        return None  # not all of it is here


def _choose(model_id: str, folder: Path, sizes: Mapping[str, int], source: str) -> PainterFiles:
    """Pick the files that will be read from those a repository has."""
    pipeline, components, omitted = _read_index(model_id, folder)
    if any("/" not in name and name.endswith(".py") for name in sizes) and source == "cache":
        # diffusers runs a file of the right name at the top. This page fetches none; another program might have.
        raise VisitorError("own_code", model=model_id)
    chosen: dict[str, int] = {}
    variants, pickled = set(), False
    for component in components:
        inside = _inside(component, sizes)
        picked = [name for name in inside if _SETTINGS.fullmatch(name) and ".index." not in name]
        if component in WEIGHTED:
            weights, variant, kind = _weights(inside)
            complete = bool(weights) and "config.json" in inside
            pickled |= kind == "bin"
            variants |= {variant} - {""}
            picked += weights
        elif component == "scheduler":
            complete = "scheduler_config.json" in inside
        else:
            complete = any(name in inside for name in hub.TOKENIZERS)
        if not complete:
            raise VisitorError("not_a_model", model=model_id)
        chosen |= {f"{component}/{name}": inside[name] for name in picked}
    if pickled and not hub.may_unpickle(model_id):
        raise VisitorError("pickle_only", model=model_id)
    here = None if source == "hub" else folder
    return PainterFiles(model_id, pipeline, chosen, here, source, next(iter(variants), None), pickled, omitted)


def _inside(component: str, sizes: Mapping[str, int]) -> dict[str, int]:
    parted = ((name.partition("/"), size) for name, size in sizes.items())
    return {name: size for (head, _, name), size in parted if head == component and "/" not in name}


def _weights(names: Mapping[str, int]) -> tuple[list[str], str, str]:
    """Return one complete set of weight files of a component, its variant and its kind; ([], "", "") for none."""
    for kind, variant in (("safetensors", ""), ("safetensors", "fp16"), ("bin", "")):
        stem, infix = _STEMS[kind], rf"\.{variant}" if variant else ""
        single = [name for name in names if re.fullmatch(rf"{stem}{infix}\.{kind}", name)]
        if single:
            return single[:1], variant, kind
        shards = [name for name in names if re.fullmatch(rf"{stem}{infix}-\d{{5}}-of-\d{{5}}\.{kind}", name)]
        index = [name for name in names if re.fullmatch(rf"{stem}\.{kind}\.index{infix}\.json", name)]
        if shards and index and len(shards) == int(shards[0].removesuffix(f".{kind}")[-5:]):
            return [*shards, *index], variant, kind
    return [], "", ""


def _read_index(model_id: str, folder: Path) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the pipeline's class, its components and those left out; refuse what needs code of its own."""
    index = _json(folder / INDEX)
    pipeline = index.get("_class_name") if isinstance(index, dict) else None
    if isinstance(pipeline, list):
        raise VisitorError("own_code", model=model_id)
    if not isinstance(pipeline, str):
        raise VisitorError("not_a_model", model=model_id)
    if pipeline not in FAMILIES:
        raise VisitorError("wrong_task", model=model_id, task=TASK, made_for=pipeline[:80])
    named = {name: value for name, value in index.items() if isinstance(value, list) and not name.startswith("_")}
    for name, value in named.items():
        if len(value) != 2:
            raise VisitorError("not_a_model", model=model_id)
        if name not in OMITTED and value[0] is not None and value[0] not in LIBRARIES:
            raise VisitorError("own_code", model=model_id)
    components = tuple(name for name in COMPONENTS if name in named and named[name][0] is not None)
    return pipeline, components, tuple(name for name in OMITTED if name in named)


def _snapshot(model_id: str, name: str = INDEX) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model_id, name, revision="main")
    return Path(path).parent if isinstance(path, str) else None


def _listed(folder: Path) -> dict[str, int]:
    paths = [path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _parameters(path: Path) -> int:
    """Number of parameters in a safetensors file, from its header; 0 when that cannot be read."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        try:
            header = json.loads(file.read(length)) if length < _MOST_HEADER else {}
            return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError):
            return 0

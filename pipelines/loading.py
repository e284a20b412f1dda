"""From a model's id to a loaded transformers pipeline, through one cache; and tokenizers alone, without weights."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipelines import backends, catalog, first_import, hub, repository, tokenizer_check, weight_files, zero_gpu
from pipelines.batching import Gathering
from pipelines.cache import ModelCache, default_budget
from pipelines.errors import VisitorError
from pipelines.inputs import is_korean
from settings import SETTINGS

log = logging.getLogger(__name__)

# Our task -> (transformers pipeline task, class that loads the model).
KINDS = {
    "sentiment": ("text-classification", "AutoModelForSequenceClassification"),
    "zero_shot": ("zero-shot-classification", "AutoModelForSequenceClassification"),
    "entities": ("token-classification", "AutoModelForTokenClassification"),
    "answer": ("question-answering", "AutoModelForQuestionAnswering"),
    "fill_mask": ("fill-mask", "AutoModelForMaskedLM"),
    "generate": ("text-generation", "AutoModelForCausalLM"),
    "summarize": ("summarization", "AutoModelForSeq2SeqLM"),
    "translate": ("translation", "AutoModelForSeq2SeqLM"),
    "similarity": ("feature-extraction", "AutoModel"),
    "keywords": ("feature-extraction", "AutoModel"),
    "entail": ("text-classification", "AutoModelForSequenceClassification"),
    "image_text": ("zero-shot-image-classification", "AutoModel"),
}
EMBED = KINDS["similarity"]
READERS_ONLY = ("entail",)  # on pairs of another language a small model is no better than a coin
PRELOAD = (
    ("pocket/sentiment-ko", "sentiment"),
    ("pocket/sentiment-en", "sentiment"),
    (catalog.MINILM, "similarity"),
    ("pocket/sentences-ko", "similarity"),
    ("pocket/fill-mask-ko", "fill_mask"),
    ("pocket/clip-emoji", "image_text"),
)


@dataclass
class Loaded:
    """A model ready to answer.

    Attributes:
        id: Hub id or pocket/<name>.
        card: What the catalog knows of it; None for an id a visitor typed.
        pipe: The transformers pipeline, with .model and .tokenizer.
        lock: Hold it while using the pipeline or its tokenizer: neither is thread-safe.
        gathering: What waits to be run together; batching.run takes care of it and of the lock.
        device: "cpu" or "cuda:0"; "cpu · ONNX Runtime" once that has taken over (see backends).
        source: "pocket", "package" or "cache".
        load_ms: How long loading took.
        rounded: Its session in 8 bits, for tables; see rounding.
    """

    id: str
    card: catalog.ModelCard | None
    pipe: Any
    device: str
    source: str
    load_ms: float
    lock: threading.RLock = field(default_factory=threading.RLock)
    gathering: Gathering = field(default_factory=Gathering)
    rounded: Any = None


CACHE = ModelCache(default_budget)
# from_pretrained changes torch's defaults while it runs: two at once can leave weights of either model unread.
_one_at_a_time = threading.Lock()


@contextmanager
def use(model_id: str, task: str) -> Iterator[Loaded]:
    """Yield a loaded model; it is not evicted while in use.

    Raises:
        VisitorError: wrong_task, too_big, and whatever `hub.locate` says.
    """
    known = catalog.card(hub.check_id(model_id))
    kind, auto_class = kind_of(known, task)
    if known is not None and task not in known.tasks:
        raise VisitorError("wrong_task", model=model_id, task=task, made_for=known.tasks[0])
    expected = int((known.size_mb or 0) * 1e6) if known else 0
    with CACHE.use((model_id, kind), lambda: _load(model_id, known, kind, auto_class), expected) as loaded:
        _check_labels(loaded, task)
        try:
            yield loaded
        except BaseException as error:
            # A panic in the Rust half of a tokenizer is no Exception, and would end the thread that waits for it. What
            # a stranger's configuration makes of a library is the stranger's fault.
            panic = type(error).__name__ == "PanicException"
            strange = known is None and isinstance(error, Exception) and not isinstance(error, VisitorError)
            if strange:
                log.warning("%s failed", model_id, exc_info=True)
            if panic or strange:
                raise VisitorError("model_failed", model=model_id, reason=type(error).__name__) from error
            raise


def default_model(task: str, text: str | None = None) -> str:
    """Return the id of the model that answers a task when the visitor names none.

    A model on this machine that reads the text's language comes first, then any on this machine, then, when the
    network is allowed, the first listed one of the Hub. Pocket models come before the Hub's cache unless
    CLASSROOM_PREFER_HUB is set. For a task of READERS_ONLY, what does not read the language stands aside.

    Raises:
        VisitorError: needs_hub, with what the task's models would download.
    """
    language = None if text is None else "ko" if is_korean(text) else "en"
    cards = catalog.offered(task)
    readers = [card for card in cards if language is None or language in card.languages]
    for wanted in ("cached", "pocket") if SETTINGS.prefer_hub else ("pocket", "cached"):
        for card in readers:
            if _state(card.id) == wanted:
                return card.id
    states = {card.id: _state(card.id) for card in (*readers, *(card for card in cards if card not in readers))}
    may = {card.id for card in (readers if task in READERS_ONLY else cards)}
    here = [name for name, state in states.items() if state in ("pocket", "cached") and name in may]
    there = [] if hub.offline() else [name for name, state in states.items() if state == "remote"]
    if not here and not there:
        raise needs_hub(task)
    return (here + there)[0]


def needs_hub(task: str) -> VisitorError:
    """Return the error that says which Hub models a task needs and what they would download."""
    remote = [card for card in catalog.offered(task) if not card.pocket][:3]
    models = ", ".join(f"{card.id} ({card.size_mb:,.0f} MB)" if card.size_mb else card.id for card in remote)
    return VisitorError("needs_hub", task=task, models=models)


_tokenizers: dict[str, Any] = {}
_tokenizer_locks: dict[str, threading.RLock] = {}
_tokenizers_lock = threading.Lock()
_warmed = threading.Event()


def tokenizer_lock(model_id: str) -> threading.RLock:
    """Return the lock to hold while a model's tokenizer is used: truncation and padding are state inside it."""
    with _tokenizers_lock:
        return _tokenizer_locks.setdefault(model_id, threading.RLock())


def tokenizer(model_id: str) -> Any:
    """Return a model's tokenizer (transformers AutoTokenizer); no weights are fetched or loaded.

    Raises:
        VisitorError: as `hub.locate`; no_tokenizer when the repository has none.
    """
    with tokenizer_lock(model_id):
        if model_id not in _tokenizers:
            _tokenizers[model_id] = _load_tokenizer(model_id, hub.tokenizer_files(model_id))
        return _tokenizers[model_id]


def has_tokenizer(model_id: str) -> bool:
    """Tell whether a model's tokenizer is in memory."""
    return model_id in _tokenizers


def tokenizers() -> list[str]:
    """Return the ids of the models whose tokenizers are in memory, apart from the models themselves."""
    return list(_tokenizers)


@contextmanager
def without(model_id: str) -> Iterator[int | None]:
    """Let go of a model and its tokenizer, and keep them out until the block ends.

    Yields:
        The bytes given back; None, and nothing has changed, while it is in use or being loaded.
    """
    lock = tokenizer_lock(model_id)
    if not lock.acquire(timeout=1):
        yield None
        return
    try:
        with CACHE.without(lambda key: key[0] == model_id) as freed:
            if freed is not None:
                _tokenizers.pop(model_id, None)
            yield freed
    finally:
        lock.release()


def warming() -> bool:
    """Tell whether the pocket models are still to be loaded in the background."""
    return SETTINGS.preload and not _warmed.is_set()


def start_warm_up() -> threading.Thread | None:
    """Load the pocket models in the background, one after the other; a failure leaves the others."""
    if not SETTINGS.preload:
        return None
    thread = threading.Thread(target=_warm_up, name="warm-up", daemon=True)
    thread.start()
    return thread


def ready() -> list[str]:
    """Return the ids of the models that are loaded."""
    return sorted({model_id for model_id, _ in CACHE.loaded()})


def _warm_up() -> None:
    for model_id, task in PRELOAD:
        try:
            with use(model_id, task):
                pass
        except VisitorError as error:
            log.warning("%s is not ready: %s", model_id, error)
    _warmed.set()


def _state(model_id: str) -> str:
    try:
        return hub.state(model_id)
    except VisitorError:
        return "missing"


def kind_of(known: catalog.ModelCard | None, task: str) -> tuple[str, str]:
    """Embedding models serve zero-shot and summaries through their vectors, not through a head."""
    if task not in KINDS:
        raise VisitorError("unknown_task", task=str(task)[:40], tasks=", ".join(catalog.TASKS))
    return EMBED if known is not None and known.tasks[0] == "similarity" else KINDS[task]


def _check_labels(loaded: Loaded, task: str) -> None:
    """A sequence classifier's labels tell entailment from sentiment; the head's shape cannot."""
    if loaded.card is not None or KINDS[task][1] != "AutoModelForSequenceClassification":
        return
    entails = any(str(label).lower().startswith("entail") for label in loaded.pipe.model.config.id2label.values())
    if task == "zero_shot" and not entails or task == "sentiment" and entails:
        made_for = "entail" if entails else "text-classification"
        raise VisitorError("wrong_task", model=loaded.id, task=task, made_for=made_for)


def _load_tokenizer(model_id: str, folder: Path) -> Any:
    first_import.transformers()
    from transformers import AutoTokenizer

    foreign = catalog.card(model_id) is None
    try:
        if foreign:
            tokenizer_check.check_file(folder / "tokenizer.json", model_id)
        loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if foreign:
            tokenizer_check.check_loaded(loaded, model_id)
    except VisitorError:
        raise
    except Exception as error:
        raise VisitorError("no_tokenizer", model=model_id, reason=type(error).__name__) from error
    return loaded


def _load(model_id: str, known: catalog.ModelCard | None, kind: str, auto_class: str) -> tuple[Loaded, int]:
    start = time.perf_counter()
    files = hub.locate(model_id, kind)
    if files.source == "cache":
        CACHE.expect((model_id, kind), _memory(files))
    # Threads of torch that wait for work keep a core busy that the page needs; read when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    from pipelines import claims, classic

    if SETTINGS.threads:
        torch.set_num_threads(SETTINGS.threads)
    transformers = first_import.transformers()
    classic.register()

    parts = {"tokenizer": _load_tokenizer(model_id, files.path)}
    if kind == KINDS["image_text"][0]:
        parts["image_processor"] = _load_image_processor(model_id, files.path)
    try:
        with _one_at_a_time:
            if known is None:
                claims.check(files, auto_class)
            model = _load_weights(files, auto_class)
    except VisitorError:
        raise
    except Exception as error:
        if _of_memory(error):
            raise VisitorError("out_of_memory", model=model_id) from error
        log.warning("loading %s failed", model_id, exc_info=True)
        raise VisitorError("load_failed", model=model_id, reason=type(error).__name__) from error
    device = "cuda:0" if torch.cuda.is_available() and not zero_gpu.on() else "cpu"
    pipe = transformers.pipeline(kind, model=model.eval(), device=device, **parts)
    size = sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))
    took = (time.perf_counter() - start) * 1000
    loaded = Loaded(model_id, known, pipe, device, files.source, took)
    backends.later(loaded, partial(CACHE.grow, (model_id, kind)))
    return loaded, size


def _memory(files: hub.ModelFiles) -> int:
    """Bytes that a model will take: of a pickle, whose parameters nobody counts, what its file has."""
    paths, pickled = hub.weights(files.path)
    if pickled:
        return sum(path.stat().st_size for path in paths)
    return repository.memory(weight_files.parameters(paths, files.id))


def _of_memory(error: Exception) -> bool:
    """Torch says of memory that the machine does not have only a RuntimeError."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error)


def _load_image_processor(model_id: str, folder: Path) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise VisitorError("no_image_processor", model=model_id, reason=type(error).__name__) from error


def _load_weights(files: hub.ModelFiles, auto_class: str) -> Any:
    """Read the weights in float32; refuse a checkpoint that lacks the task's head (it would answer at random)."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(files.path, local_files_only=True)
    model, info = getattr(transformers, auto_class).from_pretrained(
        files.base or files.path,
        config=config,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=not files.allow_pickle,
        dtype=torch.float32,
        output_loading_info=True,
        # An adapter may bring a head of another shape than its body's: five stars on three classes.
        ignore_mismatched_sizes=files.base is not None,
    )
    missing = set(info["missing_keys"])
    if auto_class == "AutoModel":
        missing = {key for key in missing if "pooler" not in key}
    if files.base is not None:
        reshaped = {key if isinstance(key, str) else key[0] for key in info.get("mismatched_keys") or ()}
        return _apply_adapter(model, files, missing | reshaped)
    if missing or info.get("mismatched_keys"):
        raise VisitorError("missing_head", model=files.id, weights=", ".join(sorted(missing))[:120])
    return model


def _apply_adapter(model: Any, files: hub.ModelFiles, missing: set[str]) -> Any:
    from peft import PeftModel
    from peft.utils import load_peft_weights

    # Before the adapter is put on, for peft stops at a missing head with a KeyError.
    brought = " ".join(load_peft_weights(str(files.path), device="cpu"))
    absent = {key for key in missing if key not in brought}
    if absent:
        raise VisitorError("missing_head", model=files.id, weights=", ".join(sorted(absent))[:120])
    return PeftModel.from_pretrained(model, files.path).merge_and_unload()

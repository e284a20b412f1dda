"""What runs an encoder on a CPU: torch, or ONNX Runtime on the same weights.

A model answers with torch as soon as it is loaded. Later, when nothing is being loaded, it is traced in the
background; the session takes over only where it gives what torch gives and is faster on this machine. Whatever goes
wrong leaves the model with torch. Callers see no difference: they call the model, whose forward is replaced.
"""

from __future__ import annotations

import inspect
import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pipelines import onnx_graph, onnx_int8, tracing
from pipelines.cache import return_memory
from settings import SETTINGS

if TYPE_CHECKING:
    from pipelines.loading import Loaded

log = logging.getLogger(__name__)

TASKS = {
    "text-classification",
    "zero-shot-classification",
    "token-classification",
    "question-answering",
    "fill-mask",
    "feature-extraction",
}
NAMES = {"fp32": "ONNX Runtime", "int8": "ONNX Runtime int8"}
TOLERANCE = 1e-4
AGREEMENT = 0.995
FASTER = 1.1
FASTER_TABLES = 1.4
QUIET_S = 3.0
IDLE_S = 20.0  # how long the process that traces is kept for the next model
LONG = 300
# Making a session takes this many times the matrices that it packs; it then keeps them once.
MAKING = 2.3
TEXTS = (
    "What a lovely film.",
    "정말 재미있는 영화였어요, 또 보고 싶어요!",
    "The bus to Seoul leaves at ten; Anna works in Berlin and wonders who will come along with her this time.",
)

Room = Callable[[Any, int], bool]


class Unfit(Exception):
    """A session is of no use here; the message says why."""


class Session:
    """A model in ONNX Runtime: takes the tokenizer's tensors, returns the model's own output class.

    Any number of threads may call it.

    Attributes:
        precision: "fp32" or "int8".
        bytes: What it keeps beside torch's weights.
    """

    def __init__(self, graph: onnx_graph.Graph, output_class: type, threads: int, precision: str) -> None:
        self._session, self._alive = onnx_graph.session(graph, threads)
        self._inputs, self._outputs, self._class = graph.inputs, list(graph.outputs), output_class
        self._lent = {name: tensor.numpy() for name, tensor in graph.lent.items()}
        self.precision, self.bytes = precision, graph.packed

    def takes(self, arguments: dict[str, Any]) -> bool:
        """Tell whether a call asks for what was traced: hidden states, gradients and the like need torch."""
        import torch

        given = [
            name for name, value in arguments.items() if value is not None and (name, value) != ("return_dict", True)
        ]
        return set(given) == set(self._inputs) and not torch.is_grad_enabled()

    def __call__(self, **arguments: Any) -> Any:
        import torch

        feed = self._lent | {name: arguments[name].numpy() for name in self._inputs}
        values = self._session.run(self._outputs, feed)
        return self._class(**{name: torch.from_numpy(v) for name, v in zip(self._outputs, values, strict=True)})


def suits(backend: str, task: str, config: Any, device: str) -> bool:
    """Tell whether a model may change to ONNX Runtime on this machine.

    Args:
        backend: CLASSROOM_BACKEND.
        task: Name of a transformers pipeline.
        config: The model's.
        device: "cpu" or "cuda:0".
    """
    if backend == "torch" or device != "cpu" or task not in TASKS:
        return False
    if getattr(config, "is_encoder_decoder", False) or getattr(config, "is_decoder", False):
        return False
    return find_spec("onnxruntime") is not None and find_spec("onnx") is not None


_jobs: queue.Queue[tuple[weakref.ref[Loaded], str, Room]] = queue.Queue()
_start = threading.Lock()
_tracing = threading.Lock()  # torch traces one model at a time
_last = 0.0
_worker: threading.Thread | None = None
_tracer = tracing.Tracer()


def later(loaded: Loaded, room: Room, backend: str | None = None) -> None:
    """Let a loaded model change to a session in the background, one model after the other.

    Args:
        loaded: The model; when it has left memory by then, nothing happens.
        room: (loaded, bytes) -> whether the memory budget has them; it then counts them. Below 0: gives them back.
        backend: As CLASSROOM_BACKEND, which it takes when left out.
    """
    global _last, _worker
    backend = backend or SETTINGS.backend
    if not suits(backend, loaded.pipe.task, loaded.pipe.model.config, loaded.device):
        return
    with _start:
        _last = time.monotonic()
        _jobs.put((weakref.ref(loaded), backend, room))
        if _worker is None:
            _worker = threading.Thread(target=_work, name="onnx", daemon=True)
            _worker.start()


def _work() -> None:
    while True:
        try:
            reference, backend, room = _jobs.get(timeout=IDLE_S)
        except queue.Empty:
            with _tracing:
                _tracer.close()
            reference, backend, room = _jobs.get()
        while (wait := _last + QUIET_S - time.monotonic()) > 0:
            time.sleep(wait)
        loaded = reference()
        if loaded is not None:
            change(loaded, backend, room)
        del loaded


def change(loaded: Loaded, backend: str, room: Room = lambda *_: True) -> bool:
    """Give a model a session, if it is of use, and tell whether it has one now; never raises."""
    started = time.perf_counter()
    counted = kept = 0

    def reserve(packed: int) -> None:
        nonlocal counted
        more = int(MAKING * packed) - counted
        if not room(loaded, more):
            raise Unfit(f"no room for {MAKING * packed / 1e6:.0f} MB")
        counted += more

    try:
        with _tracing:
            session, rounded = _fitting(loaded, backend, reserve)
        _replace(loaded, session)
        loaded.rounded = rounded
        kept = session.bytes + (rounded.bytes if rounded else 0)
    except Exception as error:
        level = logging.INFO if isinstance(error, Unfit) else logging.WARNING
        log.log(level, "%s stays with torch: %s", loaded.id, f"{type(error).__name__}: {error}".splitlines()[0])
        return False
    finally:
        if counted:
            return_memory()
            room(loaded, kept - counted)
    log.info("%s runs in %s after %.1f s", loaded.id, NAMES[session.precision], time.perf_counter() - started)
    return True


def _fitting(loaded: Loaded, backend: str, reserve: Callable[[int], None]) -> tuple[Session, Session | None]:
    """Trace a model and return the session that passes every test, and one in 8 bits for tables where that is of use.

    Args:
        reserve: (bytes of the matrices) -> None; raises Unfit where the memory budget lacks what a session needs.

    Raises:
        Unfit: it differs from torch, or is not faster, or does not fit. Whatever torch and onnxruntime raise.
    """
    import torch

    model = loaded.pipe.model
    if "forward" in vars(model):
        raise Unfit("its forward is already replaced")
    encoded = _encode(loaded, TEXTS)
    with torch.inference_mode():
        output = model(**encoded)
    names = tuple(name for name, value in output.items() if torch.is_tensor(value) and name != "pooler_output")
    threads = SETTINGS.threads or torch.get_num_threads()
    try:
        graph = _traced(model, encoded, names, fused=True)
        exact = _exact(loaded, graph, type(output), threads, reserve)
    except Exception as error:
        log.debug("%s attends in its own way: %s", loaded.id, error)
        graph = _traced(model, encoded, names, fused=False)
        exact = _exact(loaded, graph, type(output), threads, reserve)
    best = _int8(loaded, graph, exact, threads) if backend == "int8" else exact
    gain = speed(model, best, _encode(loaded, TEXTS[:1]))
    if gain < FASTER and backend != "onnx":
        raise Unfit(f"a sentence takes {1 / gain:.2f} of torch's time")
    return best, None if backend == "int8" else _for_tables(loaded, graph, exact, threads, reserve)


def _traced(model: Any, encoded: dict[str, Any], names: tuple[str, ...], *, fused: bool) -> onnx_graph.Graph:
    """Trace a large model in a process of its own, and here when that cannot be."""
    if tracing.Tracer.suits(model):
        try:
            return onnx_graph.trace(model, encoded, names, fused=fused, exporter=_tracer.export)
        except tracing.Broken as error:
            log.warning("a trace could not be made elsewhere: %s", error)
    return onnx_graph.trace(model, encoded, names, fused=fused)


def _exact(
    loaded: Loaded, graph: onnx_graph.Graph, output_class: type, threads: int, reserve: Callable[[int], None]
) -> Session:
    reserve(graph.packed)
    session = Session(graph, output_class, threads, "fp32")
    for texts in (TEXTS[:1], TEXTS, (" ".join(TEXTS * 20),)):
        _compare(loaded, session, _encode(loaded, texts))
    return session


def _int8(loaded: Loaded, graph: onnx_graph.Graph, exact: Session, threads: int) -> Session:
    """Return the model in 8 bits when it is faster and says the same of the built-in sentences; else as it was."""
    rounded = Session(_in_int8(loaded, graph), exact._class, threads, "int8")
    share = agreement(exact, rounded, (_encode(loaded, [text]) for text in sentences()))
    gain = speed(exact, rounded, _encode(loaded, TEXTS[:1]))
    if share >= AGREEMENT and gain >= FASTER:
        return rounded
    log.info("%s is not rounded to int8: agreement %.2f %%, speed x %.2f", loaded.id, share * 100, gain)
    return exact


def _in_int8(loaded: Loaded, graph: onnx_graph.Graph) -> onnx_graph.Graph:
    given = (_encode(loaded, [text]) for text in sentences()[::10])
    largest = onnx_int8.largest_inputs(loaded.pipe.model, given)
    return onnx_int8.in_int8(graph, largest, seven_bits=not onnx_int8.has_vnni())


def _for_tables(
    loaded: Loaded, graph: onnx_graph.Graph, exact: Session, threads: int, reserve: Callable[[int], None]
) -> Session | None:
    """Return a classifier in 8 bits for `rounding`, or None where it is not much faster or has no room."""
    names = [str(name).lower() for name in loaded.pipe.model.config.id2label.values()]
    of_pairs = any(name.startswith("entail") for name in names)
    if loaded.pipe.task != "text-classification" or of_pairs:
        return None
    try:
        graph_in_8_bits = _in_int8(loaded, graph)
        reserve(graph.packed + graph_in_8_bits.packed)
        rounded = Session(graph_in_8_bits, exact._class, threads, "int8")
        gain = speed(exact, rounded, _encode(loaded, TEXTS * 8), times=3)
    except Exception as error:
        log.info("%s has no session in 8 bits: %s", loaded.id, error)
        return None
    return rounded if gain >= FASTER_TABLES else None


def _replace(loaded: Loaded, session: Session) -> None:
    model, name, reference = loaded.pipe.model, loaded.id, weakref.ref(loaded)
    itself, torchs, current = weakref.ref(model), type(model).forward, session

    def forward(*args: Any, **kwargs: Any) -> Any:
        nonlocal current
        session, failed = current, None
        if session is not None and not args and session.takes(kwargs):
            try:
                return session(**kwargs)
            except Exception as error:
                failed = error
        output = torchs(itself(), *args, **kwargs)
        if failed is not None:  # what torch cannot answer either is the input's fault
            log.warning("%s goes back to torch: %s", name, failed)
            current = None
            _name(reference(), None)
        return output

    forward.__signature__ = inspect.signature(model.forward)
    model.forward = forward
    _name(loaded, session.precision)


def _name(loaded: Loaded | None, precision: str | None) -> None:
    if loaded is not None:
        loaded.device = loaded.device.split(" ")[0] + (f" · {NAMES[precision]}" if precision else "")


def _encode(loaded: Loaded, texts: Sequence[str]) -> dict[str, Any]:
    pipe = loaded.pipe
    positions = getattr(pipe.model.config, "max_position_embeddings", None) or LONG
    most = max(8, min(LONG, pipe.tokenizer.model_max_length, positions - 2 if positions > 2 else LONG))
    with loaded.lock:
        encoded = pipe.tokenizer(
            list(texts), padding=len(texts) > 1, truncation=True, max_length=most, return_tensors="pt"
        )
    return dict(encoded)


def _compare(loaded: Loaded, session: Session, encoded: dict[str, Any]) -> None:
    import torch

    with torch.inference_mode():
        ours, theirs = session(**encoded), loaded.pipe.model(**encoded)
    real = encoded["attention_mask"].bool()
    for name in session._outputs:
        a, b = ours[name], theirs[name]
        if a.shape != b.shape:
            raise Unfit(f"{name} has shape {tuple(a.shape)} for {tuple(b.shape)}")
        if a.dim() > 1 and a.shape[1] == real.shape[1]:  # what stands at padding is nobody's
            a, b = a[real], b[real]
        if not torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE):
            raise Unfit(f"{name} differs by {(a - b).abs().max():.1e}")


def speed(slow: Callable[..., Any], fast: Callable[..., Any], encoded: dict[str, Any], times: int = 9) -> float:
    """Return how many times faster `fast` is: the ratio of the shortest of some runs by turns, after a warm one."""
    import torch

    best = [float("inf"), float("inf")]
    with torch.inference_mode():
        for turn in range(times + 1):
            for i, call in enumerate((slow, fast)):
                start = time.perf_counter()
                call(**encoded)
                if turn:
                    best[i] = min(best[i], time.perf_counter() - start)
    return best[0] / best[1]


def agreement(exact: Session, rounded: Session, inputs: Iterable[dict[str, Any]]) -> float:
    """Return the share of decisions that stay the same.

    A decision is the likeliest label of a text, of a token, or of a mask; of a question's answer where it starts and
    ends; of an embedding that its cosine with the exact one is at least 0.99.
    """
    import torch

    same = total = 0
    for encoded in inputs:
        ours, theirs = rounded(**encoded), exact(**encoded)
        for name in exact._outputs:
            a, b = ours[name], theirs[name]
            if name == "last_hidden_state":
                equal = torch.nn.functional.cosine_similarity(a.mean(1), b.mean(1), dim=-1) >= 0.99
            else:
                equal = a.argmax(-1) == b.argmax(-1)
            same, total = same + int(equal.sum()), total + equal.numel()
    return same / max(1, total)


def sentences() -> list[str]:
    """Return 400 short sentences, half of them Korean.

    They are plainer than real ones, so passing is no promise: pocket/sentiment-en in int8 agrees with itself in
    float32 on all of these, but on 99.8 % of 2,000 sentences of SST-2, without VNNI on 99.7 (pocket/sentiment-ko: on
    99.9 and 99.7 % of 2,000 NSMC reviews).
    """
    things = "film book song dish hotel phone trip game class room".split()
    words = (
        "wonderful,boring,fine,too loud,surprisingly good,not bad at all,awful,worth every cent,slow,beautiful".split(
            ","
        )
    )
    english = [f"The {thing} was {word}{end}" for thing in things for word in words for end in (".", ", I think!")]
    nouns = "영화 책 노래 음식 호텔 휴대폰 여행 게임 수업 방".split()
    says = "정말 좋았어요,지루했어요,그냥 그랬어요,너무 시끄러웠다,생각보다 괜찮네요,나쁘지 않았다,최악이었어요".split(
        ","
    )
    says += "돈이 아깝지 않았다,느리고 답답했어요,아름다웠습니다".split(",")
    korean = [f"{start}{noun}: {word}." for start in ("", "어제 본 ") for noun in nouns for word in says]
    return english + korean

"""Texts through an encoder, those of all visitors together: whoever asks while a pass is under way shares the next one.

The first to come finds the model idle and begins at once: a lone visitor waits for nobody. What others ask meanwhile
gathers, and one of the waiting runs all of it, up to 32 rows at a time, a row of each request in turn: a file of 500
sentences does not hold up a single one. The same row asked twice in a pass is computed once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.run import Stopwatch

if TYPE_CHECKING:
    import torch

    from pipelines.loading import Loaded

BATCH = 32
# What one more pass costs, in tokens: rows are parted where padding the shorter ones would cost more.
PASS_TOKENS = 16
_NO_LIMIT = 100_000

Row = tuple[str, str | None]
# A row's ids, mask and the like by name, and whether it had to be cut.
Encoded = tuple[dict[str, list[int]], bool]


@dataclass(eq=False)
class _Request:
    """Rows of one caller.

    Attributes:
        rows: (text, second half of the pair or None).
        limit: Tokens per row.
        reduce: As in `run`.
        rounded: As in `run`.
        left: Numbers of the rows that no pass has taken yet, those of like length together.
        encoded: Rows that are tokenized already.
        results, cut: One entry a row.
        open: Rows without a result.
        error: What stopped it.
    """

    rows: list[Row]
    limit: int
    reduce: Callable[[Any, Any], torch.Tensor]
    rounded: bool
    left: deque[int]
    encoded: dict[Row, Encoded]
    results: list[Any]
    cut: list[bool]
    open: int
    timing: dict[str, float] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def kind(self) -> tuple[int, bool, bool]:
        """Only rows of the same kind can share a pass."""
        return self.limit, self.rows[0][1] is None, self.rounded

    @property
    def done(self) -> bool:
        return self.open == 0 or self.error is not None


class Gathering:
    """The requests that wait for one model, and whether somebody is running it for them."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.requests: deque[_Request] = deque()
        self.running = False


def max_length(pipe: Any) -> int:
    """Return how many tokens, special ones included, the model of a pipeline takes.

    The tokenizer's word counts when it has one; otherwise the positions that the model has embeddings for, less the
    ones that the RoBERTa family keeps for padding.
    """
    config = pipe.model.config
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 512
    if config.model_type in {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "mpnet"}:
        positions -= 2
    if positions <= 0:  # relative positions (DeBERTa v2 may say 0 or -1)
        positions = 512
    stated = pipe.tokenizer.model_max_length
    return int(min(stated, positions) if stated and stated < _NO_LIMIT else positions)


def run(
    loaded: Loaded,
    texts: list[str],
    watch: Stopwatch,
    reduce: Callable[[Any, Any], torch.Tensor],
    *,
    second: list[str] | None = None,
    limit: int | None = None,
    rounded: bool = False,
) -> tuple[list[torch.Tensor], list[bool]]:
    """Run texts (or pairs of texts) through an encoder, together with those of whoever asks at the same time.

    Args:
        loaded: The model; the caller must not hold its lock, for another may be running it.
        texts: One sequence each.
        watch: Gets "tokenize" and "model", those of the passes that the texts shared.
        reduce: (model output, model inputs) -> tensor of shape (batch, ...), what is kept of each batch.
        second: The other half of each pair.
        limit: Tokens per sequence, when fewer than the model takes.
        rounded: Use the model's session in 8 bits (see rounding).

    Returns:
        One tensor per text, on the CPU in float32, in the order of `texts`; and which texts had to be cut.
    """
    count = len(texts)
    rows: list[Row] = list(zip(texts, second or [None] * count, strict=True))
    limit = min(limit or _NO_LIMIT, max_length(loaded.pipe))
    encoded: dict[Row, Encoded] = {}
    if count > BATCH:  # rows of like length share a pass only where their lengths are known before
        with watch("tokenize"):
            encoded = _tokenized(loaded, rows, limit)
    lengths = [_tokens(encoded[row]) if encoded else len(row[0]) + len(row[1] or "") for row in rows]
    order = deque(sorted(range(count), key=lengths.__getitem__))
    request = _Request(rows, limit, reduce, rounded, order, encoded, [None] * count, [False] * count, count)
    if rows:
        _wait_or_run(loaded, request)
    if request.error is not None:
        raise request.error
    for stage, ms in request.timing.items():
        watch.timing[stage] = watch.timing.get(stage, 0.0) + ms
    return request.results, request.cut


def _wait_or_run(loaded: Loaded, request: _Request) -> None:
    gathering = loaded.gathering
    with gathering.changed:
        gathering.requests.append(request)
    while True:
        with gathering.changed:
            while gathering.running and not request.done:
                gathering.changed.wait()
            if request.done:
                return
            gathering.running = True
            taken = _take(loaded, gathering.requests)
        try:
            _answer(loaded, taken)
        finally:
            with gathering.changed:
                gathering.running = False
                for each in [each for each in gathering.requests if each.done]:
                    gathering.requests.remove(each)
                gathering.changed.notify_all()


def _take(loaded: Loaded, requests: deque[_Request]) -> list[tuple[_Request, int]]:
    """Return the rows of the next pass: a row of each request in turn, the one that has waited longest first.

    What is of another kind comes next.
    """
    size = BATCH if loaded.pipe.tokenizer.pad_token_id is not None else 1
    kind = requests[0].kind
    alike = deque(each for each in requests if each.kind == kind)
    others = [each for each in requests if each.kind != kind]
    requests.clear()
    requests.extend([*others, *alike])
    taken: list[tuple[_Request, int]] = []
    while alike and len(taken) < size:
        request = alike.popleft()
        taken.append((request, request.left.popleft()))
        if request.left:
            alike.append(request)
    return taken


def _answer(loaded: Loaded, taken: list[tuple[_Request, int]]) -> None:
    """Run one pass; if it fails, each request's rows by themselves, so that one visitor's text fails nobody else's."""
    askers = list(dict.fromkeys(request for request, _ in taken))
    try:
        _compute(loaded, taken)
    except BaseException as error:
        if len(askers) == 1:
            askers[0].error = error
            return
        for asker in askers:
            _answer(loaded, [each for each in taken if each[0] is asker])


def _compute(loaded: Loaded, taken: list[tuple[_Request, int]]) -> None:
    import torch

    watch, (limit, _, rounded) = Stopwatch(), taken[0][0].kind
    wanted: dict[Row, list[tuple[_Request, int]]] = {}
    for request, i in taken:
        wanted.setdefault(request.rows[i], []).append((request, i))
    rows = list(wanted)
    known = {row: r.encoded[row] for row, askers in wanted.items() for r, _ in askers if row in r.encoded}
    answers: list[tuple[_Request, int, Any, bool]] = []
    with loaded.lock, torch.inference_mode():
        with watch("tokenize"):
            known |= _tokenize(loaded.pipe.tokenizer, [row for row in rows if row not in known], limit)
        for part in _parts([_tokens(known[row]) for row in rows]):
            with watch("tokenize"):
                inputs = _pad(loaded.pipe, [known[rows[i]][0] for i in part])
            with watch("model"):
                output = (loaded.rounded if rounded else loaded.pipe.model)(**inputs)
                kept: dict[Any, Any] = {}
                for place, number in enumerate(part):
                    for request, i in wanted[rows[number]]:
                        if request.reduce not in kept:
                            kept[request.reduce] = request.reduce(output, inputs).float().cpu()
                        answers.append((request, i, kept[request.reduce][place], known[rows[number]][1]))
    for request, i, row, short in answers:
        request.results[i], request.cut[i] = row, short
        request.open -= 1
    for request in {id(request): request for request, _ in taken}.values():
        for stage, ms in watch.timing.items():
            request.timing[stage] = request.timing.get(stage, 0.0) + ms


def _tokenized(loaded: Loaded, rows: list[Row], limit: int) -> dict[Row, Encoded]:
    """Tokenize a long request, a pass's worth at a time: others want the tokenizer too."""
    encoded: dict[Row, Encoded] = {}
    for start in range(0, len(rows), BATCH):
        with loaded.lock:
            encoded |= _tokenize(loaded.pipe.tokenizer, rows[start : start + BATCH], limit)
    return encoded


def _tokenize(tokenizer: Any, rows: list[Row], limit: int) -> dict[Row, Encoded]:
    if not rows:
        return {}
    first, second = [row[0] for row in rows], [row[1] for row in rows]
    encoded = tokenizer(first, None if second[0] is None else second, truncation=True, max_length=limit)
    made = {}
    for i, row in enumerate(rows):
        each = {name: values[i] for name, values in encoded.items()}
        made[row] = each, len(each["input_ids"]) >= limit and _overflows(tokenizer, *row, limit)
    return made


def _tokens(encoded: Encoded) -> int:
    return len(encoded[0]["input_ids"])


def _overflows(tokenizer: Any, first: str, second: str | None, limit: int) -> bool:
    return len(tokenizer(first, second, truncation=False, verbose=False)["input_ids"]) > limit


def _pad(pipe: Any, rows: list[dict[str, list[int]]]) -> Any:
    import torch

    if len(rows) == 1:  # nothing to pad, and the library's way takes a tenth of a small model's time
        return {name: torch.tensor([values], dtype=torch.long, device=pipe.device) for name, values in rows[0].items()}
    # Padding apart from tokenizing is what shares a pass; the library's hint that one call is faster does not apply.
    pipe.tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
    return pipe.tokenizer.pad(rows, return_tensors="pt").to(pipe.device)


def _parts(lengths: list[int]) -> Iterator[list[int]]:
    """Part rows by length: into two, and those again, wherever that saves more padding than another pass costs.

    Example: lengths [5, 200, 6, 190] give [0, 2] and [3, 1].
    """
    stack = [sorted(range(len(lengths)), key=lengths.__getitem__)]
    while stack:
        part = stack.pop()
        longest = lengths[part[-1]]
        saved = {at: at * (longest - lengths[part[at - 1]]) for at in range(1, len(part))}
        at = max(saved, key=saved.__getitem__, default=0)
        if at and saved[at] > PASS_TOKENS:
            stack += [part[at:], part[:at]]
        else:
            yield part

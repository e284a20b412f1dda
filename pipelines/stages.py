"""A pipeline opened: tokens and ids -> the model's numbers -> what is made of them, for one request of a text task.

The numbers are those that the task's answer rests on: the same tokenizer call, the same forward pass, and the answer
itself at the end. The steps are written as formulas and places, so that they read alike in every language.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from pipelines import batching, embeddings, generation, inputs, loading, rewriting, spans, text_tasks
from pipelines.classification import entailment_id
from pipelines.errors import VisitorError

MOST_TOKENS = 128
ROWS, COLUMNS = 8, 6


def stages(task: str, inputs: dict[str, Any], model: str | None = None) -> dict[str, Any]:
    """Return the three stages of a request.

    Args:
        task: Name of catalog.TASKS.
        inputs: The arguments of the task's function in `text_tasks`, by name; of several texts the first is opened.
        model: Id of the model that answered; None takes the default.

    Returns:
        tokens: [[token, id], …], the first 128; with the special ones the tokenizer adds.
        tensors: [{name, shape, dtype, min, max, mean, sample}], sample being up to 8 rows of which the first cell may
            name the row.
        post: Lines of text, from the tensors to the answer.

    Raises:
        VisitorError: as the task's function.
    """
    if task not in _OPENERS:
        raise VisitorError("unknown_task", task=str(task)[:40], tasks=", ".join(_OPENERS))
    named = {name: value for name, value in dict(inputs).items() if name != "model"}
    if task == "sentiment":
        named["texts"] = _first(named.get("texts"))
        model = None if model and "," in model else model
    if task == "generate":
        return _generate(named, model)
    run = text_tasks.TASK_FUNCTIONS[task](**named, model=model)
    with _opened(run.model, task) as loaded:
        if loaded.pipe.task == "feature-extraction":
            return _embedding(loaded, named, run.result)
        return _OPENERS[task](loaded.pipe, named, run.result)


@contextmanager
def _opened(model: str, task: str) -> Any:
    import torch

    with loading.use(model, task) as loaded, loaded.lock, torch.inference_mode():
        yield loaded


def _first(texts: Any) -> str:
    return inputs.texts(texts)[0]


def _encode(pipe: Any, first: str, second: str | None = None, limit: int | None = None) -> tuple[Any, list[list[Any]]]:
    limit = limit or batching.max_length(pipe)
    encoded = pipe.tokenizer(first, second, truncation=True, max_length=limit, return_tensors="pt").to(pipe.device)
    return encoded, _tokens(pipe, encoded["input_ids"][0].tolist())


def _tokens(pipe: Any, ids: Sequence[int]) -> list[list[Any]]:
    """Return [token, id]; bytes that are written as stand-ins (GPT-2's Ġ, ì) are shown as what they say."""
    ids = [int(i) for i in ids[:MOST_TOKENS]]
    names = pipe.tokenizer.convert_ids_to_tokens(ids)
    plain = ("##", "▁", "[", "<")
    return [
        [name if name.startswith(plain) else pipe.tokenizer.decode([i]) or name, i]
        for name, i in zip(names, ids, strict=True)
    ]


def _likeliest(pipe: Any, logits: Any) -> list[list[Any]]:
    """Return [token, logit] of the highest logits of a vocabulary."""
    best = logits.topk(min(ROWS, len(logits)))
    names = _tokens(pipe, best.indices.tolist())
    return [[name, value] for (name, _), value in zip(names, best.values.tolist(), strict=True)]


def _tensor(name: str, value: Any, rows: Sequence[Sequence[Any]] = ()) -> dict[str, Any]:
    numbers = value.float()
    return {
        "name": name,
        "shape": list(value.shape),
        "dtype": str(value.dtype).removeprefix("torch."),
        "min": float(numbers.min()),
        "max": float(numbers.max()),
        "mean": float(numbers.mean()),
        "sample": [list(row) for row in rows[:ROWS]],
    }


def _token_rows(tokens: list[list[Any]], values: Any) -> list[list[Any]]:
    return [[token, *values[i, :COLUMNS].tolist()] for i, (token, _) in enumerate(tokens[:ROWS])]


def _list(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.3f}" for value in values[:COLUMNS])
    return f"[{shown}{', …' if len(values) > COLUMNS else ''}]"


def _labels(pipe: Any, tokens: list[list[Any]], logits: Any, scores: dict[str, float]) -> dict[str, Any]:
    names = [str(pipe.model.config.id2label[i]) for i in range(len(logits))]
    values = [scores[name] for name in names]
    squash = "softmax" if abs(sum(values) - 1) < 1e-3 and len(values) > 1 else "sigmoid"
    best = max(scores, key=scores.__getitem__)
    rows = [[name, value] for name, value in zip(names, logits.tolist(), strict=True)]
    steps = [
        f"{squash}({_list(logits.tolist())}) = {_list(values)}",
        f"argmax = {names.index(best)}",
        f"id2label[{names.index(best)}] = {best} · {scores[best]:.4f}",
    ]
    return {"tokens": tokens, "tensors": [_tensor("logits", logits.unsqueeze(0), rows)], "post": steps}


def _sentiment(pipe: Any, named: dict[str, Any], result: Any) -> dict[str, Any]:
    encoded, tokens = _encode(pipe, result[0]["text"])
    opened = _labels(pipe, tokens, pipe.model(**encoded).logits[0].float().cpu(), result[0]["scores"])
    opened["post"].append(f"{result[0]['label']} → {result[0]['polarity'] or '?'}")
    return opened


def _entail(pipe: Any, named: dict[str, Any], result: Any) -> dict[str, Any]:
    encoded, tokens = _encode(pipe, inputs.text(named["premise"]), (named.get("hypothesis") or "").strip() or None)
    return _labels(pipe, tokens, pipe.model(**encoded).logits[0].float().cpu(), result["scores"])


def _zero_shot(pipe: Any, named: dict[str, Any], result: Any) -> dict[str, Any]:
    text, labels = inputs.text(named["text"]), result["labels"]
    template = named.get("template") or text_tasks.template_for("nli", text)
    rows, ids = [], list(pipe.model.config.id2label)
    for label in labels[:ROWS]:
        encoded, tokens = _encode(pipe, text, template.replace("{}", label))
        logits = pipe.model(**encoded).logits[0].float().cpu()
        rows.append((label, tokens, logits))
    yes = entailment_id(pipe)
    table = [[label, *logits.tolist()] for label, _, logits in rows]
    alone = named.get("multi_label") or len(labels) == 1
    squash = "softmax(entailment, contradiction)" if alone else "softmax"
    names = " · ".join(f"{i} = {pipe.model.config.id2label[i]}" for i in ids)
    steps = [f"{rows[0][0]} → {template.replace('{}', rows[0][0])}", f"logits: {names}"]
    steps.append(f"entailment = {_list([float(logits[yes]) for _, _, logits in rows])}")
    steps.append(f"{squash} = {_list(result['scores'])}")
    return {"tokens": rows[0][1], "tensors": [_tensor("logits", rows[0][2].unsqueeze(0), table)], "post": steps}


def _embedding(loaded: loading.Loaded, named: dict[str, Any], result: Any) -> dict[str, Any]:
    """Open whatever rests on sentence vectors; the answer tells which task it was."""
    text = named.get("text") or inputs.lines(named.get("texts"))[0]
    pipe = loaded.pipe
    encoded, tokens = _encode(pipe, inputs.text(text), limit=embeddings.max_length(loaded))
    output = pipe.model(**encoded)
    hidden, vector = output[0][0].float().cpu(), embeddings.mean_pool(output, encoded)[0].float().cpu()
    mask = int(encoded["attention_mask"].sum())
    tensors = [
        _tensor("last_hidden_state", hidden.unsqueeze(0), _token_rows(tokens, hidden)),
        _tensor("embedding", vector.unsqueeze(0), [vector[:COLUMNS].tolist()]),
    ]
    length = float(hidden.mean(dim=0).norm())
    steps = [f"mean({mask} × {hidden.shape[1]}) → {hidden.shape[1]}", f"÷ {length:.4f} → |embedding| = 1"]
    if isinstance(result, list):
        steps += [f"cos(text, {each['keyword']}) = {each['score']:.4f}" for each in result]
    elif "matrix" in result:
        size = range(min(len(result["matrix"]), 4))
        steps += [f"cos({i + 1}, {j + 1}) = {result['matrix'][i][j]:.4f}" for i in size for j in size if i < j]
    elif "labels" in result:
        squash = "cos" if named.get("multi_label") else f"softmax(cos / {embeddings.TEMPERATURE})"
        pairs = list(zip(result["labels"], result["scores"], strict=True))[:ROWS]
        steps += [f"{squash} · {label} = {score:.4f}" for label, score in pairs]
    else:
        chosen = embeddings.sentences(result["summary"])
        steps += [f"LexRank({len(embeddings.sentences(text))}) → {len(chosen)}", *chosen]
    return {"tokens": tokens, "tensors": tensors, "post": steps}


def _entities(pipe: Any, named: dict[str, Any], result: Any) -> dict[str, Any]:
    encoded, tokens = _encode(pipe, inputs.text(named["text"]))
    logits = pipe.model(**encoded).logits[0].float().cpu()
    best = logits.softmax(dim=-1).max(dim=-1)
    steps = [
        f"{tokens[i][0]} → {pipe.model.config.id2label[int(best.indices[i])]} · {float(best.values[i]):.4f}"
        for i in range(len(tokens))
        if tokens[i][1] not in pipe.tokenizer.all_special_ids
        and pipe.model.config.id2label[int(best.indices[i])] != "O"
    ][:24]
    for each in result:
        steps.append(f"[{each['start']}:{each['end']}] {each['text']} = {each['entity']} · {each['score']:.4f}")
    tensor = _tensor("logits", logits.unsqueeze(0), _token_rows(tokens, logits))
    return {"tokens": tokens, "tensors": [tensor], "post": steps}


def _answer(pipe: Any, named: dict[str, Any], result: Any) -> dict[str, Any]:
    question, context = inputs.text(named["question"]), inputs.text(named["context"])
    windows = list(pipe.preprocess({"question": question, "context": context}))
    # The window that holds the answer is the one to open.
    place = (result["start"], result["end"])
    window = next((each for each in windows if _holds(each, place)), windows[0])
    ids = window["input_ids"][0].tolist()
    output = pipe.forward(dict(window))
    start, end = output["start"][0].float(), output["end"][0].float()
    tokens = _tokens(pipe, ids)
    names = pipe.tokenizer.convert_ids_to_tokens(ids)
    likely = (start + end).topk(min(ROWS, len(ids))).indices.sort().values.tolist()
    rows = [[names[i], float(start[i])] for i in likely], [[names[i], float(end[i])] for i in likely]
    steps = [f"windows = {len(windows)}", f"softmax(start) × softmax(end) = {result['score']:.4f}"]
    steps.append(f"context[{place[0]}:{place[1]}] = {result['answer']!r}")
    tensors = [_tensor("start_logits", start.unsqueeze(0), rows[0]), _tensor("end_logits", end.unsqueeze(0), rows[1])]
    return {"tokens": tokens, "tensors": tensors, "post": steps}


def _holds(window: dict[str, Any], place: tuple[int, int]) -> bool:
    inside = [offset for offset, ours in zip(window["offsets"], window["in_context"], strict=True) if ours]
    return bool(inside) and inside[0][0] <= place[0] and place[1] <= inside[-1][1]


def _fill_mask(pipe: Any, named: dict[str, Any], result: Any) -> dict[str, Any]:
    text = inputs.text(named["text"])
    start, end = spans.one_mask(text)
    encoded, _ = spans.around_mask(pipe, text[:start], text[end:])
    tokens = _tokens(pipe, encoded["input_ids"][0].tolist())
    where = int((encoded["input_ids"][0] == pipe.tokenizer.mask_token_id).nonzero()[0])
    logits = pipe.model(**encoded.to(pipe.device)).logits[0].float().cpu()
    rows = _likeliest(pipe, logits[where])
    steps = [f"logits[0, {where}] → {logits.shape[1]}"]
    steps += [f"softmax · {each['token']} = {each['score']:.4f}" for each in result]
    return {"tokens": tokens, "tensors": [_tensor("logits", logits.unsqueeze(0), rows)], "post": steps}


def _generate(named: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Open the first new token: which ones the model thought likely after the prompt."""
    import torch

    run = next(iter(text_tasks.generate_stream(**{**named, "max_new_tokens": 1}, model=model)))
    with _opened(run.model, "generate") as loaded:
        pipe = loaded.pipe
        ids, _ = generation.prompt_ids(pipe, inputs.text(named["prompt"]), 1)
        tokens = _tokens(pipe, ids)
        logits = pipe.model(input_ids=torch.tensor([ids], device=pipe.device)).logits[0].float().cpu()
        rows = _likeliest(pipe, logits[-1])
    shown = ("temperature", "top_k", "top_p", "repetition_penalty")
    settings = {name: named[name] for name in shown if named.get(name) is not None}
    steps = [f"logits[0, {len(logits) - 1}] → {logits.shape[1]}"]
    steps += [f"{name} = {value}" for name, value in settings.items()]
    for token in run.result["tokens"][:1]:
        steps += [f"softmax · {each['token']!r} = {each['probability']:.4f}" for each in token["alternatives"]]
        if named.get("seed") is not None or named.get("temperature") == 0:
            steps.append(f"→ {token['token']!r} · {token['probability']:.4f}")
    return {"tokens": tokens, "tensors": [_tensor("logits", logits.unsqueeze(0), rows)], "post": steps}


def _seq2seq(pipe: Any, named: dict[str, Any], result: Any) -> dict[str, Any]:
    """Open the encoder and the decoder's first step."""
    import torch

    text = inputs.text(named["text"])
    encoded, _, options = rewriting.prepare(pipe, text, named.get("max_length"))
    ids = {name: encoded[name] for name in ("input_ids", "attention_mask") if name in encoded}
    config = pipe.model.generation_config
    first = config.decoder_start_token_id or pipe.model.config.decoder_start_token_id or 0
    begin = torch.tensor([[first]], device=pipe.device)
    output = pipe.model(**{name: value.to(pipe.device) for name, value in ids.items()}, decoder_input_ids=begin)
    tokens = _tokens(pipe, ids["input_ids"][0].tolist())
    hidden, logits = output.encoder_last_hidden_state[0].float().cpu(), output.logits[0, -1].float().cpu()
    rows = _likeliest(pipe, logits)
    tensors = [
        _tensor("encoder_last_hidden_state", hidden.unsqueeze(0), _token_rows(tokens, hidden)),
        _tensor("logits", logits.reshape(1, 1, -1), rows),
    ]
    likely = logits.softmax(dim=-1).topk(len(rows)).values.tolist()
    steps = [f"{_tokens(pipe, [first])[0][0]} →"]
    steps += [f"softmax · {name!r} = {value:.4f}" for (name, _), value in zip(rows, likely, strict=True)]
    settings = ", ".join(f"{name}={value}" for name, value in options.items())
    steps.append(f"generate({settings}) → {next(iter(result.values()))}")
    return {"tokens": tokens, "tensors": tensors, "post": steps}


# Where an encoder answers, `_embedding` opens its vectors instead.
_OPENERS = {
    "sentiment": _sentiment,
    "zero_shot": _zero_shot,
    "entities": _entities,
    "answer": _answer,
    "fill_mask": _fill_mask,
    "generate": _generate,
    "summarize": _seq2seq,
    "translate": _seq2seq,
    "similarity": _embedding,
    "keywords": _embedding,
    "entail": _entail,
}

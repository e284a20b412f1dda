"""An image-text model opened: tokens -> embeddings of both towers -> similarity, for one request of the CLIP tab.

The numbers are those that the answer rests on; the steps are written as formulas, alike in every language.
"""

from __future__ import annotations

from typing import Any

from pipelines import clip, images, inputs
from pipelines.run import Stopwatch

ROWS, COLUMNS = 8, 6


def stages(pictures: object, texts: object, how: str, model: str) -> dict[str, Any]:
    """Return the three stages of comparing pictures with texts.

    Args:
        pictures: Paths, bytes, or PIL images.
        texts: What the text tower read, the template filled in; the first is shown as tokens.
        how: One of clip.SCORINGS.
        model: Id of the model that answered.

    Returns:
        {tokens, tensors, post} as `pipelines.stages.stages`.
    """
    data = [images.read(each) for each in images.several(pictures)]
    clean = inputs.labels(texts, most=clip.MOST_LABELS + 1) if isinstance(texts, str) else [str(each) for each in texts]
    with clip.using(model) as loaded:
        compared = clip.compare(loaded, data, clean, how, Stopwatch())
        ids = clip.text_inputs(loaded, clean[:1])["input_ids"][0].tolist()
        tokens = _tokens(loaded.pipe.tokenizer, ids)
        pixels = clip.pixel_inputs(loaded, data[:1])["pixel_values"]
        scale = float(loaded.pipe.model.logit_scale.exp())
        bias = float(loaded.pipe.model.logit_bias) if compared.sigmoid else 0.0
    scores = clip.scored(compared, how)
    tensors = [
        _tensor("pixel_values", pixels.float().cpu().numpy(), []),
        _tensor("image_embeds", compared.images, compared.images[:ROWS, :COLUMNS].tolist()),
        _tensor(
            "text_embeds",
            compared.texts,
            [[text, *row] for text, row in zip(clean, compared.texts[:ROWS, :COLUMNS].tolist(), strict=False)],
        ),
    ]
    added = f" {bias:+.3f}" if compared.sigmoid else ""
    steps = []
    for i, text in enumerate(clean[:ROWS]):
        cosine, logit, score = compared.cosines[0, i], compared.logits[0, i], scores[0, i]
        step = f"{text}: image_embeds · text_embeds = {cosine:.4f}"
        if how != "cosine":
            step += f" → × {scale:.2f}{added} = {logit:.3f} → {how} = {score:.4f}"
        steps.append(step)
    return {"tokens": tokens, "tensors": tensors, "post": steps}


def _tokens(tokenizer: Any, ids: list[int]) -> list[list[Any]]:
    """Return [token, id] up to the first padding token; bytes that are written as stand-ins as what they say."""
    end = len(ids)
    while end > 2 and ids[end - 1] == ids[end - 2] == tokenizer.pad_token_id:
        end -= 1
    names = tokenizer.convert_ids_to_tokens(ids[:end])
    special = set(tokenizer.all_special_ids)
    return [
        [name if number in special else tokenizer.decode([number]).strip() or name, number]
        for name, number in zip(names, ids[:end], strict=True)
    ]


def _tensor(name: str, value: Any, rows: list[list[Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(value.shape),
        "dtype": str(value.dtype),
        "min": float(value.min()),
        "max": float(value.max()),
        "mean": float(value.mean()),
        "sample": rows,
    }

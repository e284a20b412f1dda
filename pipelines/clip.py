"""Pictures and words in one space: which label fits a picture, which pictures fit a text.

A CLIP model (Radford et al. 2021, https://arxiv.org/abs/2103.00020) has two towers, one for pictures and one for
texts, whose vectors are compared by their cosine.

    >>> match_image("red-apple.png", ["red apple", "pizza", "rocket"]).result[0]["label"]
    'red apple'

How cosines become scores is named: "softmax" shares 100 % among the labels, "sigmoid" judges each label alone (only
SigLIP models learned to, Zhai et al. 2023, https://arxiv.org/abs/2303.15343), "cosine" leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines import emoji, hub, inputs, languages, loading
from pipelines import images as pictures
from pipelines.errors import VisitorError
from pipelines.run import Run, Stopwatch
from pipelines.vectors import Vectors

if TYPE_CHECKING:
    import numpy as np

    from pipelines.loading import Loaded

TASK = "image_text"
POCKET = "pocket/clip-emoji"
SCORINGS = ("softmax", "sigmoid", "cosine")
MOST_LABELS = 2_000
MOST_TEXTS = 30
BATCH = 64
TEMPLATES = {"en": "This is a photo of {}.", "ko": "{}의 사진"}
# What stands for "none of these" beside the labels, and how the answer names it.
SOMETHING_ELSE = {"en": "something else", "ko": "다른 것"}
NONE = {"en": "(none of these)", "ko": "(이 가운데 없음)"}
TEXT_VECTORS = Vectors(32_000_000)
IMAGE_VECTORS = Vectors(16_000_000)


@dataclass(frozen=True)
class Compared:
    """Pictures and texts after both towers.

    Attributes:
        cosines: (pictures, texts).
        logits: (pictures, texts), the cosines times the model's learned scale, plus its bias where it has one.
        sigmoid: The model was trained with the sigmoid loss.
        images, texts: The vectors, L2-normalised.
    """

    cosines: np.ndarray
    logits: np.ndarray
    sigmoid: bool
    images: np.ndarray
    texts: np.ndarray


def match_image(
    image: object,
    labels: object = None,
    template: object = None,
    scoring: object = None,
    model: object = None,
    none_of_these: object = False,
) -> Run:
    """Say which labels fit a picture.

    Args:
        image: Path, bytes, or PIL image.
        labels: A list, or one string parted by commas or new lines; None takes the names the pocket model learned,
            or for other models the names of the example pictures.
        template: Sentence with {} where the label goes; None takes one for the model and the labels' language.
        scoring: One of SCORINGS; None takes the model's own, sigmoid for SigLIP and softmax for the rest.
        model: Id of an image-text model.
        none_of_these: Let the answer be that no label fits. With softmax and cosine the text "something else" stands
            for it in the template, beside the labels; with sigmoid its score is what the best label lacks to 100 %.

    Returns:
        Run of [{label, score}], best first; `NONE` names the extra row.
    """
    data = pictures.read(image)
    given = None if labels is None else inputs.labels(labels, most=MOST_LABELS)
    name = model_for(model, given)
    names = given or default_labels(name)
    language = language_of(names)
    pattern = own_template(template, name, language)
    how = scoring_of(scoring)
    besides = _flag(none_of_these)
    watch = Stopwatch()
    with using(name) as loaded:
        how = how or own_scoring(loaded)
        neutral = [SOMETHING_ELSE[language]] if besides and how != "sigmoid" else []
        compared = compare(loaded, [data], [pattern.replace("{}", text) for text in [*names, *neutral]], how, watch)
        scores = scored(compared, how)[0].tolist()
        note = languages.note(loaded.card, " ".join(names[:50]))
        device = loaded.device
    if besides and how == "sigmoid":
        scores.append(1 - max(scores))
    rows = [*names, NONE[language]] if besides else names
    result = [{"label": label, "score": score} for label, score in zip(rows, scores, strict=True)]
    result.sort(key=lambda row: -row["score"])
    return Run(result, name, f"method.{how}", note, watch.timing, device)


def match_images(
    images: object, texts: object, template: object = None, scoring: object = None, model: object = None
) -> Run:
    """Compare each picture with each text.

    Args:
        images: Paths, bytes, or PIL images.
        texts: A list, or one string parted by commas or new lines; at most 30.
        template: As in `match_image`; None takes the texts as they are.
        scoring: One of SCORINGS, softmax over the texts of each picture; None takes cosine.
        model: Id of an image-text model.

    Returns:
        Run of {texts, matrix}: matrix[i][j] is the score of picture i and text j.
    """
    data = [pictures.read(each) for each in pictures.several(images)]
    names = inputs.labels(texts, most=MOST_TEXTS)
    name = model_for(model, names)
    pattern = "{}" if template is None else own_template(template, name, "en")
    how = scoring_of(scoring) or "cosine"
    watch = Stopwatch()
    with using(name) as loaded:
        compared = compare(loaded, data, [pattern.replace("{}", text) for text in names], how, watch)
        matrix = scored(compared, how).tolist()
        note = languages.note(loaded.card, " ".join(names))
        device = loaded.device
    return Run({"texts": names, "matrix": matrix}, name, f"method.{how}", note, watch.timing, device)


def rank_images(text: object, images: object, model: object = None) -> Run:
    """Sort pictures by how well they fit a text.

    Args:
        text: What to look for.
        images: Paths, bytes, or PIL images.
        model: Id of an image-text model.

    Returns:
        Run of [{index, score}], best first; the score is the cosine, the index counts from 0.
    """
    clean = inputs.text(text, limit=1_000, what="search").strip()
    data = [pictures.read(each) for each in pictures.several(images)]
    name = model_for(model, [clean])
    watch = Stopwatch()
    with using(name) as loaded:
        compared = compare(loaded, data, [clean], "cosine", watch)
        note = languages.note(loaded.card, clean)
        device = loaded.device
    result = [{"index": i, "score": score} for i, score in enumerate(compared.cosines[:, 0].tolist())]
    result.sort(key=lambda row: -row["score"])
    return Run(result, name, "method.cosine", note, watch.timing, device)


def compare(loaded: Loaded, data: list[bytes], texts: list[str], how: str, watch: Stopwatch) -> Compared:
    """Send pictures and texts through both towers; vectors that are remembered are not computed again.

    Raises:
        VisitorError: sigmoid_only_siglip, and as `pipelines.images.load`.
    """
    import numpy as np

    model = loaded.pipe.model
    sigmoid = getattr(model, "logit_bias", None) is not None
    if how == "sigmoid" and not sigmoid:
        raise VisitorError("sigmoid_only_siglip", model=loaded.id)
    with watch("images"):
        place = model.name_or_path
        keys = [(place, pictures.digest(each)) for each in data]
        files = dict(zip(keys, data, strict=True))
        pixels, _ = IMAGE_VECTORS.fill(keys, lambda missing: _embed_images(loaded, [files[key] for key in missing]))
    with watch("texts"):
        words, _ = TEXT_VECTORS.fill(
            [(place, text) for text in texts], lambda missing: _embed_texts(loaded, [text for _, text in missing])
        )
    with watch("postprocess"):
        cosines = (pixels @ words.T).astype("float64")
        scale = float(model.logit_scale.exp()) if hasattr(model, "logit_scale") else 1.0
        logits = cosines * scale + (float(model.logit_bias) if sigmoid else 0.0)
    return Compared(np.clip(cosines, -1, 1), logits, sigmoid, pixels, words)


def scored(compared: Compared, how: str) -> np.ndarray:
    """Return the scores, (pictures, texts): softmax and sigmoid of the logits, or the cosines."""
    import numpy as np

    if how == "cosine":
        return compared.cosines
    if how == "sigmoid":
        return 1 / (1 + np.exp(-compared.logits))
    shifted = np.exp(compared.logits - compared.logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def text_inputs(loaded: Loaded, texts: list[str]) -> Any:
    """Tokenize texts as the model was trained: SigLIP fills every text to 64 tokens, CLIP pads to the longest."""
    pipe = loaded.pipe
    config = getattr(pipe.model.config, "text_config", pipe.model.config)
    longest = getattr(config, "max_position_embeddings", None) or 77
    padding = {"padding": "max_length"} if "siglip" in pipe.model.config.model_type else {"padding": True}
    return pipe.tokenizer(texts, truncation=True, max_length=longest, return_tensors="pt", **padding).to(pipe.device)


def pixel_inputs(loaded: Loaded, data: Sequence[bytes]) -> Any:
    """Return the image processor's pixels, (pictures, 3, height, width)."""
    opened = [pictures.load(each) for each in data]
    return loaded.pipe.image_processor(images=opened, return_tensors="pt").to(loaded.pipe.device)


def own_scoring(loaded: Loaded) -> str:
    """Return the scoring a model was trained with."""
    return "softmax" if getattr(loaded.pipe.model, "logit_bias", None) is None else "sigmoid"


def likely_scoring(model: str) -> str:
    """Return the scoring of a model that need not be loaded: by its configuration, or its name."""
    return "sigmoid" if "siglip" in model.lower() else "softmax"


def scoring_of(value: object) -> str | None:
    """Return a visitor's scoring, None for the model's own.

    Raises:
        VisitorError: bad_choice.
    """
    return None if value is None or value == "" else inputs.choice(value, "scoring", SCORINGS)


def own_template(value: object, model: str, language: str) -> str:
    """Return a visitor's template, or for None the one for a model and a language.

    Raises:
        VisitorError: empty_template, bad_template when no {} says where the label goes.
    """
    if value is None:
        return "{}" if model.startswith("pocket/") else TEMPLATES[language]
    clean = inputs.text(value, limit=300, what="template")
    if "{}" not in clean:
        raise VisitorError("bad_template", slot="{}")
    return clean


def default_labels(model: str, language: str = "en") -> list[str]:
    """Return what is compared when nobody gives labels: every name the pocket model learned, or the examples' names."""
    chosen = emoji.rows() if model == POCKET else emoji.examples().values()
    names = list(dict.fromkeys(row[language] for row in chosen))[:MOST_LABELS]
    if not names:
        raise VisitorError("no_labels")
    return names


def language_of(texts: Sequence[str]) -> str:
    """Return "ko" or "en", whichever most of the texts' letters are in."""
    return "ko" if inputs.is_korean(" ".join(texts[:200])) else "en"


def model_for(value: object, texts: list[str] | None) -> str:
    """Return the id a visitor named, or the default that reads the texts' language."""
    if value is None or isinstance(value, str) and not value.strip():
        return loading.default_model(TASK, " ".join(texts[:50]) if texts else None)
    return hub.check_id(value.strip() if isinstance(value, str) else value)


@contextmanager
def using(model: str) -> Iterator[Loaded]:
    """Yield a loaded image-text model, locked, without gradients.

    Raises:
        VisitorError: model_failed, and as `loading.use`.
    """
    import torch

    with loading.use(model, TASK) as loaded, loaded.lock, torch.inference_mode():
        try:
            yield loaded
        except (IndexError, RuntimeError) as error:
            raise VisitorError("model_failed", model=model, reason=type(error).__name__) from error


def _embed_images(loaded: Loaded, data: list[bytes]) -> list[Any]:
    rows: list[Any] = []
    for start in range(0, len(data), 8):
        pixels = pixel_inputs(loaded, data[start : start + 8])
        rows.extend(_unit(loaded.pipe.model.get_image_features(**pixels)))
    return rows


def _embed_texts(loaded: Loaded, texts: list[str]) -> list[Any]:
    # Texts of like length go together, so that little is padded.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    rows: list[Any] = [None] * len(texts)
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        vectors = _unit(loaded.pipe.model.get_text_features(**text_inputs(loaded, [texts[i] for i in part])))
        for i, vector in zip(part, vectors, strict=True):
            rows[i] = vector
    return rows


def _unit(features: Any) -> np.ndarray:
    import torch

    vectors = features if isinstance(features, torch.Tensor) else features.pooler_output
    return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise VisitorError("bad_choice", name="none_of_these", allowed="true, false")
    return value

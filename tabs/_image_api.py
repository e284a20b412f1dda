"""The public endpoints that take or make pictures; tabs/_api.py registers them with the others."""

from __future__ import annotations

from gradio import FileData

from pipelines import clip, image_generation, remote_objects
from tabs import _uploads


def match_image(
    image: FileData,
    labels: list[str] | str | None = None,
    template: str | None = None,
    scoring: str | None = None,
    model: str | None = None,
    none_of_these: bool = False,
) -> list:
    """Say which labels fit a picture.

    Args:
        image: The picture, uploaded (in Python: gradio_client.handle_file); JPEG, PNG, WEBP or GIF.
        labels: A list, or one string parted by commas, 2,000 at most; None takes all names the pocket model learned,
            and for other models the names of the example pictures.
        template: Sentence with {} where the label goes; None takes one for the model and the labels' language.
        scoring: "softmax" (the labels share 100 %), "sigmoid" (each by itself; SigLIP models only) or "cosine"; None
            takes what the model was trained with.
        model: An image-text model (a CLIP or SigLIP).
        none_of_these: Add a row that says that no label fits: for softmax and cosine the score of the text "something
            else", for sigmoid what the best label lacks to 100 %.

    Returns:
        List of {label, score}, best first.
    """
    return clip.match_image(_uploads.picture(image), labels, template, scoring, model, none_of_these).result


def match_images(
    images: list[FileData],
    texts: list[str] | str,
    template: str | None = None,
    scoring: str | None = None,
    model: str | None = None,
) -> dict:
    """Compare each of several pictures with each of several texts.

    Args:
        images: The pictures, uploaded.
        texts: The texts, 30 at most.
        template: Sentence with {} where the text goes; None takes the texts as they are.
        scoring: As for match_image, softmax over the texts of each picture; None takes "cosine".
        model: An image-text model.

    Returns:
        {texts, matrix}, where matrix[i][j] is the score of picture i and text j.
    """
    return clip.match_images(_uploads.pictures(images), texts, template, scoring, model).result


def rank_images(text: str, images: list[FileData], model: str | None = None) -> list:
    """Sort pictures by how well they fit a text.

    Args:
        text: What to look for.
        images: The pictures, uploaded.
        model: An image-text model.

    Returns:
        List of {index, score}, best first; the score is the cosine, the index counts from 0.
    """
    return clip.rank_images(text, _uploads.pictures(images), model).result


def detect_objects(
    image: FileData, token: str | None = None, model: str | None = None, threshold: float = remote_objects.THRESHOLD
) -> list:
    """Find the objects in a picture, at an inference provider of Hugging Face: no model of this machine does it.

    Args:
        image: The picture, uploaded; only its pixels are passed on.
        token: Your own Hugging Face token with the permission "Inference Providers"; your account pays. It is used for
            this request and kept nowhere.
        model: A Hub model for object detection; None takes facebook/detr-resnet-50.
        threshold: Objects with a lower score are left out, 0 to 1.

    Returns:
        List of {label, score, box: {xmin, ymin, xmax, ymax}}, best first, boxes in pixels of the picture.
    """
    *_, run = remote_objects.detect_objects(_uploads.picture(image), token, model, threshold)
    return run.result


def generate_image(
    prompt: str,
    model: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int | None = None,
    width: int | None = None,
    height: int | None = None,
    count: int | None = None,
    negative_prompt: str | None = None,
) -> tuple[list[FileData], dict]:
    """Make pictures from words.

    Args:
        prompt: What the picture shows; the pocket model reads Korean and English.
        model: A model that paints; None takes pocket/flux-emoji.
        steps: Denoising steps; None takes the model's own number, as for everything below.
        guidance: How closely the picture keeps to the words.
        seed: 0 to 2147483647: the same seed with the same values gives the same picture; None draws one.
        width: Pixels.
        height: Pixels.
        count: Pictures, 1 to 4; each is made with the next seed.
        negative_prompt: What the picture shall not show, for models that use one (Stable Diffusion 1.5).

    Returns:
        A list of PNG files, which carry their parameters, and {prompt, model, steps, guidance, seed, width, height,
        count, negative_prompt, seconds}; also step_cache where the owner lets models skip steps that change little.
    """
    asked = image_generation.wish(prompt, model, steps, guidance, seed, width, height, count, negative_prompt)
    *_, painted = image_generation.paint(asked)
    kept = [_uploads.kept(data, f"picture-{n}.png") for n, data in enumerate(image_generation.files(painted), 1)]
    return [FileData(**each) for each in kept], painted.run.result


MODEL = (match_image, match_images, rank_images, detect_objects)
PAINTING = (generate_image,)

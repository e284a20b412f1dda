"""The Python that "Show the code" shows of what ran elsewhere. The token is not in it: os.environ["HF_TOKEN"] is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines import embeddings, image_snippets, snippets
from pipelines.literals import fill, literal

if TYPE_CHECKING:
    from pipelines.image_generation import Wish
    from pipelines.remote import Route

# A large picture stands in the code as a smaller copy of this many pixels a side.
CODE_SIDE = 448

CLIENT = """\
import os

from huggingface_hub import InferenceClient

# Your own token, from huggingface.co/settings/tokens.
# Your account pays for what it asks for.
client = InferenceClient(provider=<<provider>>, api_key=os.environ["HF_TOKEN"])
"""

CLASSIFY = """\
texts = <<texts>>
# One request a text; top_k asks for every label.
result = [client.text_classification(text, model=<<model>>, top_k=<<top_k>>) for text in texts]
for text, scores in zip(texts, result):
    print(f"{scores[0].label:>10}  {scores[0].score:.4f}  {text}")
"""

ZERO_SHOT = """\
found = client.zero_shot_classification(
    <<text>>,
    <<labels>>,
    multi_label=<<multi_label>>,
    hypothesis_template=<<template>>,
    model=<<model>>,
)
result = {each.label: each.score for each in found}
print(result)
"""

FOLLOWS = """\
# Asked with one label, the model weighs "it follows" against "it contradicts".
found = client.zero_shot_classification(
    <<premise>>,
    [<<hypothesis>>],
    multi_label=True,
    hypothesis_template="{}",
    model=<<model>>,
)
result = {"entailment": found[0].score, "contradiction": 1 - found[0].score}
print(result)
"""

ENTITIES = """\
text = <<text>>
result = client.token_classification(text, model=<<model>>, aggregation_strategy=<<strategy>>)
for each in result:
    print(f"{each.entity_group:>8}  {each.score:.4f}  {text[each.start:each.end]}")
"""

ANSWER = """\
result = client.question_answering(
    question=<<question>>,
    context=<<context>>,
    handle_impossible_answer=<<impossible>>,
    model=<<model>>,
)
print(f"{result.answer}  {result.score:.4f}")
"""

FILL_MASK = """\
result = client.fill_mask(<<text>>, model=<<model>>, top_k=<<top_k>>)
for each in result:
    print(f"{each.score:.4f}  {each.token_str}  {each.sequence}")
"""

REWRITE = """\
result = client.<<method>>(
    <<text>>,
    model=<<model>>,<<more>>
).<<field>>
print(result)
"""

EMBED = """\
import torch


def embed(texts):
    \"\"\"Vectors from the provider, <<batch>> texts a request, scaled to length 1: (texts, dimensions).\"\"\"
    parts = [
        client.feature_extraction(texts[i : i + <<batch>>], model=<<model>><<more>>)
        for i in range(0, len(texts), <<batch>>)
    ]
    vectors = torch.cat([torch.from_numpy(part) for part in parts])
    return torch.nn.functional.normalize(vectors, dim=-1)


"""

CHAT = """\
result = ""
for chunk in client.chat_completion(
    [{"role": "user", "content": <<prompt>>}],
    model=<<model>>,
    <<settings>>,
    stream=True,
):
    piece = chunk.choices[0].delta.content if chunk.choices else None
    print(piece or "", end="", flush=True)
    result += piece or ""
"""

WRITE = """\
result = client.text_generation(
    <<prompt>>,
    model=<<model>>,
    <<settings>>,
)
print(result)
"""

DETECT = """\
import base64

picture = <<picture>>
result = client.object_detection(picture, model=<<model>>, threshold=<<threshold>>)
for each in result:
    box = each.box
    print(f"{each.score:.4f}  {each.label:<14} ({box.xmin}, {box.ymin}) to ({box.xmax}, {box.ymax})")
"""

PAINT = """\
result = []
for number in range(<<count>>):  # each picture with the next seed
    picture = client.text_to_image(
        <<prompt>>,
        model=<<model>>,
        <<settings>>,
        seed=<<seed>> + number,
    )
    picture.save(f"picture-{number}.png")
    result.append(picture)
print(result)
"""


def write(at: Route, template: str, /, **values: str) -> str:
    """Return the code of one call: `template`, with the client before it.

    Args:
        at: Who runs which model.
        template: One of this module's, or what follows `embed`.
        values: Python expressions for the template's names.
    """
    code = fill(CLIENT + template, provider=literal(at.provider), model=literal(at.model), **values)
    return snippets.tidy(code)


def embed(at: Route, batch: int, template: str, /, with_mmr: bool = False, **values: str) -> str:
    """Return code whose `template` uses embed(texts), as the templates of snippets.py do."""
    more = ", truncate=True" if at.provider == "hf-inference" else ""
    mmr = fill(snippets.MMR, weight=str(embeddings.MMR_RELEVANCE)) if with_mmr else ""
    return write(at, EMBED + mmr + template, batch=str(batch), more=more, **values)


def arguments(given: dict[str, Any], indent: int = 4) -> str:
    """Return keyword arguments, one a line."""
    return (",\n" + " " * indent).join(f"{name}={literal(value)}" for name, value in given.items())


def detect(picture: bytes, threshold: float, at: Route) -> str:
    """Return the code that finds the objects of a picture file."""
    inline = image_snippets.inline(picture, CODE_SIDE)
    return write(at, DETECT, picture=inline, threshold=literal(threshold))


def paint(asked: Wish, at: Route) -> str:
    """Return the code that has a wish painted."""
    given: dict[str, Any] = {"negative_prompt": asked.negative_prompt} if asked.negative_prompt else {}
    given |= {"num_inference_steps": asked.steps, "guidance_scale": asked.guidance}
    given |= {"width": asked.width, "height": asked.height}
    return write(
        at,
        PAINT,
        count=str(asked.count),
        prompt=literal(asked.prompt),
        seed=str(asked.seed),
        settings=arguments(given, 8),
    )

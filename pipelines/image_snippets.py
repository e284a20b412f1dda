"""The Python that "Show the code" fills in for pictures: one template per way of answering, <<name>> for a literal.

A picture goes in as the file's own bytes, so that the code runs anywhere.
"""

from __future__ import annotations

import base64

from pipelines import emoji, images
from pipelines.errors import VisitorError

WHOLE = 24_000

CLIP = """\
import base64
import io

import torch
from PIL import Image, ImageOps
from transformers import AutoModel, AutoProcessor

<<source>>
model = AutoModel.from_pretrained(source, dtype="float32").eval()
processor = AutoProcessor.from_pretrained(source)


def picture(file):
    \"\"\"An upright RGB picture; what is transparent becomes white.\"\"\"
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


<<pictures>>
<<texts>>
# SigLIP models were trained with every text filled to 64 tokens.
padding = {"padding": "max_length", "max_length": 64} if "siglip" in model.config.model_type else {"padding": True}
inputs = processor(text=texts, images=pictures, truncation=True, return_tensors="pt", **padding)
with torch.inference_mode():
    output = model(**inputs)
"""

LABELS = """\
labels = <<labels>>
template = <<template>>
texts = [template.replace("{}", label) for label in labels]"""

NEUTRAL = """
texts.append(template.replace("{}", <<neutral>>))  # stands for none of these
labels.append(<<none>>)"""

TEXTS = "texts = <<texts>>"

FILLED = """\
labels = <<texts>>
template = <<template>>
texts = [template.replace("{}", label) for label in labels]"""

SCORES = {
    "softmax": "output.logits_per_image.softmax(-1)  # the labels share 100 %",
    "sigmoid": "output.logits_per_image.sigmoid()  # each label by itself",
    "cosine": "output.image_embeds @ output.text_embeds.T  # both are scaled to length 1",
}

MATCH = """\
scores = <<scores>>
scores = scores[0].tolist()
<<more>>result = sorted(zip(labels, scores), key=lambda pair: -pair[1])
for label, score in result[:10]:
    print(f"{score:.4f}  {label}")
"""

LACKING = """\
labels.append(<<none>>)
scores.append(1 - max(scores))  # what the best label lacks to 100 %
"""

MATRIX = """\
result = (<<scores>>).tolist()  # a row a picture, a column a text
for row in result:
    print("  ".join(f"{score:.3f}" for score in row))
"""

RANK = """\
scores = (output.image_embeds @ output.text_embeds.T)[:, 0].tolist()  # cosines
result = sorted(enumerate(scores), key=lambda pair: -pair[1])
for index, score in result:
    print(f"{score:.4f}  picture {index}")
"""

PAINT = """\
import torch
from diffusers import DiffusionPipeline

<<source>>
device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = torch.bfloat16 if device == "cuda" else torch.float32
pipe = DiffusionPipeline.from_pretrained(source, torch_dtype=dtype).to(device)

result = []
for number in range(<<count>>):  # each picture with the next seed
    random_numbers = torch.Generator("cpu").manual_seed(<<seed>> + number)
    picture = pipe(
<<arguments>>
        generator=random_numbers,
    ).images[0]
    picture.save(f"picture-{number}.png")
    result.append(picture)
print(result)
"""


def several(data: list[object], in_app: bool = False) -> str:
    """Return the lines that make `pictures`, of the bytes of picture files.

    Args:
        data: Bytes of each file.
        in_app: The code runs in the app's folder, where the example pictures have names.

    Raises:
        VisitorError: image_not_uploaded for anything but bytes.
    """
    side = 448 if len(data) == 1 else 256
    lines = [f"    picture({_file(each, side, in_app)})," for each in data]
    return "pictures = [\n" + "\n".join(lines) + "\n]"


def _file(data: object, side: int, in_app: bool) -> str:
    if not isinstance(data, bytes):
        raise VisitorError("image_not_uploaded")
    for name in emoji.examples() if in_app else ():
        if emoji.picture(name).read_bytes() == data:
            return f'"assets/examples/images/{name}.png"'
    return f"io.BytesIO({inline(data, side, 4)})"


def inline(data: bytes, side: int, indent: int = 0) -> str:
    """Return the expression for a picture file's bytes; a large one is made smaller first.

    Args:
        data: The file.
        side: Pixels a side of the smaller one.
        indent: Spaces before the line that it ends on.
    """
    note = ""
    if len(data) > WHOLE:
        data, note = images.small(data, side), "  # a smaller copy of the picture"
    else:
        images.load(data)
    text, before = base64.b64encode(data).decode(), " " * indent
    rows = "".join(f'{before}    "{text[i : i + 96]}"\n' for i in range(0, len(text), 96))
    return f"base64.b64decode({note}\n{rows}{before})"

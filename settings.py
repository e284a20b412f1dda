"""Environment variables -> one frozen Settings object. Imports nothing of ours.

Gradio's own variables (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, ...) and the Hub's own (HF_HOME, HF_TOKEN,
HF_ENDPOINT, HF_HUB_OFFLINE) are read by their owners; ours begin with CLASSROOM_.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent
POCKET = ROOT / "assets" / "pocket"
ALSO = {"listed_models_only": "CLASSROOM_ONLY_LISTED"}
CHOICES = {"backend": ("auto", "torch", "onnx", "int8"), "painter_speed": ("auto", "cached", "off")}
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


@dataclass(frozen=True)
class Settings:
    """What an owner can set; every field has an environment variable of the same name with CLASSROOM_ before it.

    Attributes:
        memory_budget_mb: Memory for loaded models, in MB; 0 means 60 % of what the machine or its cgroup has free.
        max_chars: Longest text the tokenizer takes, in characters.
        max_model_chars: Longest text a model takes, in characters.
        max_texts: Most texts in one request.
        listed_models_only: Refuse ids that are not in the catalog; CLASSROOM_ONLY_LISTED is another name for it.
        allow_pickle: Read pickled checkpoints (restricted unpickler) of visitor-typed ids too.
        prefer_hub: Take a Hub model that is already in the cache as a task's default, before the pocket model.
        preload: Load the pocket models in the background once the page is served.
        threads: Threads per model run; 0 leaves torch's own choice.
        backend: What runs encoders on a CPU. torch; onnx: ONNX Runtime where it gives what torch gives; auto: the same,
            where it is also faster; int8: rounded to 8 bits, where faster and alike on built-in sentences.
        painter_speed: How pictures are made on a GPU. auto: compiled, with fused projections and the fastest attention;
            cached: also skip steps that change little, which changes the pictures a little; off: as diffusers does it.
        max_image_mb: Largest picture file, in MB of 10^6 bytes.
        max_images: Most pictures in one request.
        hub_timeout_s: Longest time without an answer or a byte from the Hub, in seconds.
        job_grace_s: How long a run goes on that nobody watches, in seconds; until then a page that was gone finds it.
        max_table_mb: Largest CSV file, in MB.
        max_columns: Most columns in a CSV file.
        max_drawn_tokens: Most tokens drawn for one text, all tokenizers together; the rest is counted.
        max_body_mb: Largest request that uploads nothing, in MB. 0, here and in all that follow: no limit.
        max_upload_mb: Largest upload, all its files together, in MB.
        max_files: Most files in one upload.
        max_uploads_mb: What the upload folder may hold, in MB; every file is deleted after an hour.
        calls_per_s: Calls a second that one page may make for long; ten seconds' worth at once.
        address_calls_per_s: The same for one address, which a whole class may share.
        max_open: Most requests open at once, those that wait for an answer included.
        address_open: The same for one address.
        max_waiting: Most requests that wait for a model, and as many that wait for pictures.
        page_waiting: Most of them that one page may have under way.
        max_sessions: Pages whose state is remembered; then the one that was silent longest is forgotten.
        proxies: How many proxies in front add to X-Forwarded-For, which then tells the address; 0: none (on a Space 1).
        owner_password: Opens the model page's buttons: unload, delete, stop a download. Without one there are none.
    """

    memory_budget_mb: int = 0
    max_chars: int = 100_000
    max_model_chars: int = 20_000
    max_texts: int = 500
    listed_models_only: bool = False
    allow_pickle: bool = False
    prefer_hub: bool = False
    preload: bool = True
    threads: int = 0
    backend: str = "auto"
    painter_speed: str = "auto"
    max_image_mb: int = 20
    max_images: int = 16
    hub_timeout_s: int = 4
    job_grace_s: int = 60
    max_table_mb: int = 2
    max_columns: int = 20
    max_drawn_tokens: int = 2_000
    max_body_mb: int = 2
    max_upload_mb: int = 100
    max_files: int = 40
    max_uploads_mb: int = 2_000
    calls_per_s: int = 10
    address_calls_per_s: int = 100
    max_open: int = 1_500
    address_open: int = 1_000
    max_waiting: int = 200
    page_waiting: int = 8
    max_sessions: int = 3_000
    proxies: int = 0
    owner_password: str = field(default="", repr=False)


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the CLASSROOM_ variables.

    Raises:
        SystemExit: with one sentence, when a value cannot be understood.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, int | bool | str] = {}
    for name, default in vars(Settings()).items():
        variable = f"CLASSROOM_{name.upper()}"
        raw = environ.get(variable, environ.get(ALSO.get(name, variable)))
        if raw is None:
            continue
        if name in CHOICES:
            values[name] = _choice(variable, raw, CHOICES[name])
        elif isinstance(default, str):
            values[name] = raw
        else:
            values[name] = (_boolean if isinstance(default, bool) else _number)(variable, raw)
    return Settings(**values)


def _boolean(variable: str, raw: str) -> bool:
    word = raw.strip().lower()
    if word not in TRUE | FALSE:
        raise SystemExit(f"{variable} is {raw!r}; it takes 1 or 0.")
    return word in TRUE


def _choice(variable: str, raw: str, choices: tuple[str, ...]) -> str:
    word = raw.strip().lower()
    if word not in choices:
        raise SystemExit(f"{variable} is {raw!r}; it takes {', '.join(choices[:-1])} or {choices[-1]}.")
    return word


def _number(variable: str, raw: str) -> int:
    if not raw.strip().isascii() or not raw.strip().isdigit():
        raise SystemExit(f"{variable} is {raw!r}; it takes a whole number, 0 or more.")
    return int(raw)


SETTINGS = read()

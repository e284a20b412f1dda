"""A stranger's configuration held against the stranger's weights, before memory is taken for either.

transformers builds what config.json describes and fills what the file lacks with random numbers: a few bytes of JSON
can ask for a terabyte.
"""

from __future__ import annotations

from typing import Any

from pipelines import hub, repository, weight_files
from pipelines.cache import default_budget
from pipelines.errors import VisitorError

# What a head that the file lacks, or an embedding that it holds once and the model twice, may add.
TWICE, MORE = 2, 50_000_000


def check(files: hub.ModelFiles, auto_class: str) -> None:
    """Refuse a model that is larger than its weights, or than the memory for models.

    Args:
        files: What `hub.locate` returned.
        auto_class: Name of the transformers class that will load it.

    Raises:
        VisitorError: config_claims, too_big, broken_weights.
    """
    paths, pickled = hub.weights(files.path)
    held = sum(path.stat().st_size for path in paths) // 2 if pickled else weight_files.parameters(paths, files.id)
    built = _built(files, auto_class)
    if built > TWICE * held + MORE:
        raise VisitorError("config_claims", model=files.id, name=f"{built / 1e6:,.0f}M")
    needed, budget = repository.memory(max(held if not pickled else 0, built)), default_budget()
    if needed > budget:
        raise VisitorError("too_big", needs_mb=needed // 1_000_000, has_mb=budget // 1_000_000)


def _built(files: hub.ModelFiles, auto_class: str) -> int:
    """Number of parameters of the model that config.json describes, built without memory for them."""
    import torch
    import transformers

    config: Any = transformers.AutoConfig.from_pretrained(files.path, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model = getattr(transformers, auto_class).from_config(config, trust_remote_code=False)
    return sum(parameter.numel() for parameter in model.parameters())

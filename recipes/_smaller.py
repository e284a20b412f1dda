"""A smaller BERT out of a larger one: fewer layers, fewer neurons in each, and the matrices in eight bits.

Which neurons go is decided as Optimal Brain Surgeon does it (Hassibi & Stork 1992): those whose loss changes the output
least once the others have been fitted again, by least squares on the activations of real texts.
"""

import copy
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch.nn import Embedding, Linear, Module, ModuleList

EIGHT_BITS = torch.float8_e4m3fn


@torch.no_grad()
def activations(model: Module, inputs: Iterable[dict[str, torch.Tensor]]) -> list[torch.Tensor]:
    """What goes into the second matrix of each layer's feed-forward part: a tensor (tokens, neurons) for each layer."""
    layers, seen = model.base_model.encoder.layer, {}
    hooks = [
        layer.output.dense.register_forward_pre_hook(lambda _, given, number=number: seen.update({number: given[0]}))
        for number, layer in enumerate(layers)
    ]
    kept = [[] for _ in layers]
    for each in inputs:
        model(**each)
        for number, found in seen.items():
            kept[number].append(found[each["attention_mask"].bool()].float())
    for hook in hooks:
        hook.remove()
    return [torch.cat(parts) for parts in kept]


@torch.no_grad()
def fewer_neurons(layer: Module, seen: torch.Tensor, size: int) -> float:
    """Leave ``size`` neurons in a layer's feed-forward part; return the share of its output's variance that is lost."""
    first, second = layer.intermediate.dense, layer.output.dense
    gram = seen.T @ seen / len(seen)
    ridge, left = 1e-3 * gram.diagonal().mean(), torch.arange(second.in_features)

    def fitted(chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inverse = torch.linalg.inv(gram[chosen][:, chosen] + ridge * torch.eye(len(chosen)))
        return second.weight @ gram[:, chosen] @ inverse, inverse

    while len(left) > size:
        weight, inverse = fitted(left)
        cost = weight.square().sum(0) / inverse.diagonal()
        fewer = max(size, len(left) - max(64, (len(left) - size) // 4))
        left = left[cost.topk(fewer).indices.sort().values]
    weight, _ = fitted(left)
    before, after = seen @ second.weight.T, seen[:, left] @ weight.T
    layer.intermediate.dense, layer.output.dense = Linear(first.in_features, size), Linear(size, second.out_features)
    layer.intermediate.dense.weight.copy_(first.weight[left])
    layer.intermediate.dense.bias.copy_(first.bias[left])
    layer.output.dense.weight.copy_(weight)
    layer.output.dense.bias.copy_(second.bias)
    return float((before - after).square().mean() / before.square().mean())


def shrunken(model: Module, seen: Sequence[torch.Tensor], layers: Sequence[int], neurons: int, places: int) -> Module:
    """A copy with some of the layers, so many neurons in each, and so many places."""
    small = copy.deepcopy(model)
    body = small.base_model
    body.encoder.layer = ModuleList([body.encoder.layer[number] for number in layers])
    kept = zip(body.encoder.layer, layers, strict=True)
    lost = [fewer_neurons(layer, seen[number], neurons) for layer, number in kept]
    print("lost of each layer's feed-forward output:", *(f"{100 * each:.0f} %" for each in lost))
    table = body.embeddings.position_embeddings.weight[:places].detach().clone()
    body.embeddings.position_embeddings = Embedding.from_pretrained(table, freeze=False)
    body.embeddings.position_ids = body.embeddings.position_ids[:, :places]
    body.embeddings.token_type_ids = body.embeddings.token_type_ids[:, :places]
    small.config.num_hidden_layers, small.config.intermediate_size = len(layers), neurons
    small.config.max_position_embeddings = places
    return small


def in_eight_bits(folder: Path) -> None:
    """Store the large matrices of a model folder in eight bits (float8, e4m3) and the rest in float16.

    ``from_pretrained`` reads them into float32, which the config names: nothing special is needed to load them.
    """
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    stored = {
        name: value.to(EIGHT_BITS if value.ndim == 2 and value.numel() > 50_000 else torch.float16).contiguous()
        for name, value in load_file(path).items()
    }
    save_file(stored, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | {"dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

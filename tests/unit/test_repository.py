"""A stranger's configuration and weights: what is believed of them, and what is not."""

from __future__ import annotations

import json
import struct

import pytest

from pipelines import hub_errors, repository, weight_files
from pipelines.errors import VisitorError

CONFIG = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 768, "num_hidden_layers": 12}


def refused(config) -> str:
    with pytest.raises(VisitorError) as caught:
        repository.check_config("a/b", json.dumps(config).encode())
    return caught.value.key


def test_real_configurations_pass():
    usual = {"max_position_embeddings": 131_072, "vocab_size": 256_000, "num_experts": 128, "rope_theta": 5e6}
    odd = {"id2label": {str(n): f"LABEL_{n}" for n in range(1000)}, "use_cache": True, "depths": [2, 2, 18, 2]}
    config = CONFIG | usual | odd | {"text_config": {"num_hidden_layers": 96}, "layer_types": ["full_attention"] * 96}
    assert repository.check_config("a/b", json.dumps(config).encode()) == config


@pytest.mark.parametrize(
    "claim",
    [
        {"num_labels": 10**12},
        {"num_hidden_layers": 10**6},
        {"vision_config": {"num_hidden_layers": 10**6}},
        {"parts": [{"n_layer": 5_000}]},
        {"depths": [2, 10**9]},
        {"num_local_experts": 10**5},
        {"max_position_embeddings": 1e12},
        {"vocab_size": 10**15},
        {"id2label": {str(n): "x" for n in range(6_000)}},
        {"id2label": {"0": "x" * 1_000}},
    ],
)
def test_numbers_that_no_model_has(claim):
    assert refused(CONFIG | claim) == "config_claims"


@pytest.mark.parametrize("config", [[], "text", None, {}, {"model_type": 3}, {"model_type": ["bert"]}])
def test_what_is_no_configuration(config):
    assert refused(config) == "not_a_model"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"a":' * 40 + b"1" + b"}" * 40, b"[" + b"1," * 300_000 + b"1]"]
)
def test_json_that_is_broken_deep_or_endless_is_none(body):
    assert repository.parse(body) is None


def test_json_of_ordinary_depth_is_read():
    assert repository.parse(b'{"a": [{"b": [1, {"c": null}]}]}') == {"a": [{"b": [1, {"c": None}]}]}


def weights(folder, header, data=bytes(64), length=None):
    body = json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(body) if length is None else length) + body + data)
    return path


def test_parameters_are_counted_from_the_header(tmp_path):
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F16", "shape": [4, 4], "data_offsets": [0, 32]},
        "b": {"dtype": "F32", "shape": [8], "data_offsets": [32, 64]},
        "c": {"dtype": "I64", "shape": [0], "data_offsets": [64, 64]},
    }
    assert weight_files.parameters([weights(tmp_path, header)], "a/b") == 24


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ({"a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}, 1 << 50),
        ({"a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}, 1),
        ({"a": {"dtype": "F32", "shape": [32], "data_offsets": [0, 128]}}, None),
        ({"a": {"dtype": "F32", "shape": [15], "data_offsets": [0, 64]}}, None),
        ({"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, None),
        ({"a": {"dtype": [], "shape": [16], "data_offsets": [0, 64]}}, None),
        ({"a": {"shape": [16], "data_offsets": [0, 64]}}, None),
        ({"a": None}, None),
        ({}, None),
    ],
)
def test_headers_that_are_not_true(tmp_path, header, length):
    with pytest.raises(VisitorError, match="broken_weights"):
        weight_files.parameters([weights(tmp_path, header, length=length)], "a/b")


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"a": "model-1.safetensors", "b": "model-2.safetensors"}, ["model-1.safetensors", "model-2.safetensors"]),
        ({"a": "../other.safetensors"}, []),
        ({"a": "/etc/passwd"}, []),
        ({"a": 3}, []),
        ([], []),
    ],
)
def test_an_index_names_files_beside_it_only(tmp_path, places, expected):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert weight_files.shards(index) == expected


class Response:
    def __init__(self, **headers):
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry_After": "soon"}, 60),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({}, 60),
    ],
)
def test_how_long_a_busy_hub_asks_to_wait(headers, seconds):
    assert hub_errors.retry_after(Response(**headers)) == seconds

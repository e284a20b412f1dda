"""The benchmark of pictures: its random FLUX has the published sizes, and its code runs on a tiny one."""

import sys

import pytest

from benchmarks import pictures, random_flux


def test_the_random_model_has_as_many_parameters_as_the_published_one():
    import torch

    pipe = random_flux.build(random_flux.TRUE, "meta", torch.bfloat16)
    assert random_flux.counts(pipe) == random_flux.PARAMETERS
    assert {each.dtype for each in pipe.transformer.parameters()} == {torch.bfloat16}
    assert (pipe.tokenizer_max_length, pipe.vae_scale_factor) == (77, 8)
    assert torch.get_default_dtype() == torch.float32


def test_a_tiny_one_is_painted_both_ways():
    import torch

    pipe = random_flux.build(random_flux.TINY, "cpu", torch.bfloat16)
    found = pictures.compare(pipe, "cpu", 64, 1, "auto")
    assert found["eager_s"] > 0 < found["ours_s"] and found["ratio"] == found["ours_s"] / found["eager_s"]
    assert found["apart"] == 0 and found["tuned"].fused == 0


def test_without_a_gpu_it_says_in_one_sentence_what_it_needs(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["pictures"])
    with pytest.raises(SystemExit, match="needs an NVIDIA GPU with 40 GB"):
        pictures.main()

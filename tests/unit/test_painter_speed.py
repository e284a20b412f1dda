"""What makes painters faster on a GPU, on tiny models on a CPU: the latents stay diffusers' own."""

import copy
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import pytest

from benchmarks import random_flux
from pipelines import image_generation, painter_speed, painters
from pipelines.errors import VisitorError
from pipelines.painter_speed import Tuned
from tests.hub import tiny_painters

SCHNELL = "black-forest-labs/FLUX.1-schnell"
TOLERANCE = 1e-4
MAKE = {
    "flux": lambda folder: tiny_painters.flux(folder, guided=True),
    "flux2": tiny_painters.klein,
    "sd": lambda folder: tiny_painters.sd(folder, turbo=True),
    "sdxl": tiny_painters.sdxl,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A function that returns the folder of a tiny pipeline of a family."""
    import torch

    @cache
    def folder(family):
        torch.manual_seed(3)
        made = tmp_path_factory.mktemp(family)
        MAKE[family](made)
        return made

    return folder


def read(folder):
    import diffusers
    import torch

    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def flux():
    import torch

    return random_flux.build(random_flux.TINY, "cpu", torch.float32)


def latents(pipe, steps=3, **more):
    import torch

    given = {"prompt": "a dog in the park", "num_inference_steps": steps, "height": 32, "width": 32} | more
    with torch.inference_mode():
        return pipe(**given, generator=torch.Generator().manual_seed(7), output_type="latent").images


def weights(model):
    return sum(each.numel() for each in model.parameters())


@pytest.mark.parametrize(("family", "layers"), [("flux", 2), ("flux2", 1), ("sd", 8), ("sdxl", 16)])
def test_fused_projections_give_the_same_latents_and_take_no_more_memory(saved, family, layers):
    pipe = read(saved(family))
    model = painter_speed.denoiser(pipe)
    expected, before = latents(pipe), weights(model)
    assert painter_speed.fuse(model) == layers
    assert weights(model) == before
    assert (latents(pipe) - expected).abs().max() < TOLERANCE
    assert painter_speed.fuse(model) == 0 or family.startswith("flux")


def test_another_attention_gives_the_same_latents_and_goes_to_this_model_alone(flux):
    from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry

    other, expected = copy.deepcopy(flux.transformer), latents(flux)
    usual = _AttentionBackendRegistry.get_active_backend()
    assert painter_speed.attend(flux.transformer, "cpu", ("_native_math",)) == "_native_math"
    assert (latents(flux) - expected).abs().max() < TOLERANCE
    assert flux.transformer.transformer_blocks[0].attn.processor._attention_backend == AttentionBackendName._NATIVE_MATH
    assert other.transformer_blocks[0].attn.processor._attention_backend is None
    assert _AttentionBackendRegistry.get_active_backend() == usual


def test_unets_leave_the_attention_to_torch(saved):
    assert painter_speed.attend(read(saved("sd")).unet, "cpu") == ""


def test_an_attention_that_does_not_work_here_is_passed_over():
    import torch

    found = painter_speed.fastest(2, 16, "cpu", torch.float32, ("_native_cudnn", "native"), places=64)
    assert found == "native"
    assert painter_speed.fastest(2, 16, "cpu", torch.float32, ("_native_cudnn",), places=64) == "_native_cudnn"


@pytest.mark.parametrize(("took", "expected"), [((1.0, 0.99, 2.0), 0), ((1.0, 0.5, 0.7), 1), ((1.0, 2.0, 0.9), 2)])
def test_the_usual_attention_stays_unless_another_is_much_faster(monkeypatch, took, expected):
    import torch

    each = iter(took)
    monkeypatch.setattr(painter_speed, "_shortest", lambda *_: next(each))
    found = painter_speed.fastest(1, 8, "cpu", torch.float32, places=8)
    assert found == painter_speed.ATTENTIONS[expected]


def test_nothing_changes_on_a_cpu_or_when_the_owner_says_so(flux):
    names = set(dict(flux.transformer.named_parameters()))
    assert painter_speed.tune(flux, "cpu", 28) == painter_speed.tune(flux, "cuda:0", 28, speed="off") == Tuned()
    assert set(dict(flux.transformer.named_parameters())) == names


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """What `tune` asks the machine, answered as by one with a GPU and compilers."""
    monkeypatch.setattr(painter_speed, "fastest", lambda *_: "native")
    monkeypatch.setattr(painter_speed, "can_compile", lambda: True)
    monkeypatch.setattr(painter_speed, "WORTH_COMPILING", 0)


@pytest.mark.parametrize(
    ("speed", "steps", "whole", "expected"),
    [
        ("auto", 28, True, Tuned(3, "native", True, False)),
        ("auto", 28, False, Tuned(3, "native", False, False)),
        ("cached", 28, True, Tuned(3, "native", True, True)),
        ("cached", 4, True, Tuned(3, "native", True, False)),
    ],
)
def test_a_gpu_gets_what_the_setting_says(flux, as_on_a_gpu, speed, steps, whole, expected):
    assert painter_speed.tune(flux, "cuda:0", steps, whole, speed) == expected
    assert flux.transformer.is_cache_enabled == expected.cached
    compiled = [block for block in flux.transformer.modules() if block._compiled_call_impl is not None]
    assert len(compiled) == 3 * expected.compiled


def test_a_small_model_is_not_compiled_nor_one_on_a_gpu_that_is_lent(flux, as_on_a_gpu, monkeypatch):
    monkeypatch.setattr(painter_speed, "WORTH_COMPILING", 10**9)
    assert not painter_speed.tune(flux, "cuda:0", 4).compiled
    monkeypatch.undo()
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: True)
    monkeypatch.setattr(painter_speed.shutil, "which", lambda name: name)
    assert painter_speed.can_compile()
    monkeypatch.setattr(painter_speed.zero_gpu, "on", lambda: True)
    assert not painter_speed.can_compile()


@pytest.fixture
def painted(monkeypatch):
    """A function that paints with a pipeline as the page does: (pipe, **wish) -> Painted."""

    def run(pipe, model=SCHNELL, stop=None, **wish):
        @contextmanager
        def use(model_id):
            yield painters.Painter(model_id, pipe, painters.habits(model_id), "cpu", "cache", 0.0)

        monkeypatch.setattr(image_generation.painters, "use", use)
        asked = image_generation.wish(
            **{"prompt": "a dog", "model": model, "seed": 7, "width": 32, "height": 32} | wish
        )
        *_, last = image_generation.paint(asked, stop)
        return last

    return run


def test_skipped_steps_are_told_and_cost_nothing_of_the_next_picture(flux, painted, monkeypatch):
    plain = painted(flux, steps=4)
    assert "step_cache" not in plain.run.result and plain.run.note is None
    monkeypatch.setattr(painter_speed, "THRESHOLD", 100.0)
    assert painter_speed.skip_steps(flux.transformer)
    calls = []
    flux.transformer.single_transformer_blocks[0].proj_out.register_forward_hook(lambda *_: calls.append(1))
    skipped = painted(flux, steps=4)
    assert len(calls) == 1
    assert skipped.run.result["step_cache"] == "FirstBlockCache 100" and skipped.run.note == "note.step_cache"
    assert skipped.pictures[0].tobytes() != plain.pictures[0].tobytes()
    told = image_generation.picture_files.details(image_generation.files(skipped)[0])
    assert told["step_cache"] == "FirstBlockCache 100"

    with pytest.raises(VisitorError, match="stopped"):
        painted(flux, steps=4, prompt="something else", seed=1, stop=_stopped())
    assert painted(flux, steps=4).pictures[0].tobytes() == skipped.pictures[0].tobytes()


def _stopped():
    """An event that is set once it was looked at in a step."""

    class AfterOneStep(threading.Event):
        looks = 0

        def is_set(self):
            self.looks += 1
            return self.looks > 1 or super().is_set()

    return AfterOneStep()


def test_skipped_steps_also_work_with_compiled_blocks(flux, painted, monkeypatch):
    monkeypatch.setattr(painter_speed, "THRESHOLD", 100.0)
    painter_speed.skip_steps(flux.transformer)
    expected = painted(flux, steps=3).pictures[0].tobytes()
    painter_speed.compile_blocks(flux.transformer, backend="eager")
    assert painted(flux, steps=3).pictures[0].tobytes() == expected


def test_a_compiler_that_fails_is_done_without(flux, painted):
    def fails(*_):
        raise RuntimeError("no compiler")

    expected = painted(flux, steps=2).pictures[0].tobytes()
    painter_speed.compile_blocks(flux.transformer, backend=fails)
    assert painted(flux, steps=2).pictures[0].tobytes() == expected
    assert not [block for block in flux.transformer.modules() if block._compiled_call_impl is not None]


def test_other_errors_of_a_run_are_not_the_compilers(flux):
    painter_speed.compile_blocks(flux.transformer, backend="eager")
    assert not painter_speed.without_compiling(flux, RuntimeError("out of luck"))


def test_compiled_blocks_give_the_same_latents(flux):
    """Traced as for a GPU, but run by torch's own kernels: a CPU's compiler takes minutes."""
    expected = latents(flux)
    painter_speed.fuse(flux.transformer)
    painter_speed.compile_blocks(flux.transformer, backend="aot_eager")
    assert (latents(flux) - expected).abs().max() < TOLERANCE


def test_the_setting_reaches_a_painter_that_is_loaded(monkeypatch):
    monkeypatch.setattr(painter_speed, "SETTINGS", replace(painter_speed.SETTINGS, painter_speed="off"))
    monkeypatch.setattr(painter_speed, "fuse", lambda _: pytest.fail("nothing is to be changed"))
    assert painter_speed.tune(None, "cuda:0", 4) == Tuned()

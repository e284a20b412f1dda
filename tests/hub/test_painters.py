"""Painters by their ids from a Hub: the latents of a run are those of diffusers' own pipeline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.hub.bad_models import MARKER, Exploit
from tests.hub.environment import TOKEN
from tests.hub.painter_checks import WEIGHTS, fetched, refused
from tests.hub.tiny_painters import DEV, HALF, KLEIN, PICKLED, SCHNELL, SD, SD_TURBO, SDXL_TURBO, SHARDED, TYPED

pytestmark = pytest.mark.hub


def latents(pipe, habits, prompt="a dog in the park"):
    """Return the latents of a short run in the model's own habits: (1, ...)."""
    import torch

    call = {"guidance_scale": habits.guidance, "num_inference_steps": 3, "height": 32, "width": 32}
    if habits.max_sequence_length:
        call["max_sequence_length"] = habits.max_sequence_length
    if habits.negative_prompt:
        call["negative_prompt"] = "blurred"
    with torch.inference_mode():
        generator = torch.Generator().manual_seed(7)
        return pipe(prompt=prompt, generator=generator, output_type="latent", **call).images


def own(folder, **more):
    """Return diffusers' own pipeline from a folder."""
    import diffusers
    import torch

    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.float32, **more)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize("model", [SCHNELL, DEV, KLEIN, SD_TURBO, SDXL_TURBO, SD, TYPED, HALF, SHARDED])
def test_a_run_gives_the_latents_of_diffusers_own_pipeline(painter_hub, model):
    import torch

    from pipelines import painters

    with painters.use(model) as painter:
        assert (painter.id, painter.device, painter.source) == (model, "cpu", "cache")
        assert all(part.dtype == torch.float32 for part in painter.pipe.components.values() if hasattr(part, "dtype"))
        made = latents(painter.pipe, painter.habits)
        assert not torch.equal(made, latents(painter.pipe, painter.habits, "Machine learning"))
    left_out = {"safety_checker": None, "feature_extractor": None} if model == SD else {}
    variant = {"variant": "fp16"} if model == HALF else {}
    expected = latents(own(painter_hub.root / model, **left_out, **variant), painter.habits)
    assert made.isfinite().all() and torch.equal(made, expected)


@pytest.mark.parametrize("model", [SCHNELL, SD, SD_TURBO, SDXL_TURBO])
def test_only_what_is_read_is_fetched(painter_hub, model):
    from pipelines import painters

    with painters.use(model) as painter:
        names = {name for name, part in painter.pipe.components.items() if part is not None}
    files = fetched(painter_hub, model)
    assert {name.split("/")[0] for name in files} == names | {"model_index.json"}
    assert not any(".fp16." in name or name.endswith((".bin", ".ckpt", ".py")) for name in files)
    weights = [name for name in files if name.endswith(".safetensors")]
    assert len(weights) == len({name.split("/")[0] for name in weights})


def test_the_owners_token_goes_with_listed_painters_only(painter_hub):
    from pipelines import painters

    for model, expected in ((TYPED, {None}), (SCHNELL, {f"Bearer {TOKEN}"})):
        painter_hub.requests.clear()
        with painters.use(model):
            assert {request.authorization for request in painter_hub.requests} == expected


def test_the_size_is_the_repositorys_and_not_the_catalogs(painter_hub):
    """FLUX.1 is listed with 34 GB; the tiny one that this Hub serves under its id is loaded."""
    from pipelines import catalog, loading, painters

    with painters.use(SCHNELL) as painter:
        parts = [part for part in painter.pipe.components.values() if hasattr(part, "parameters")]
        tensors = [tensor for part in parts for tensor in (*part.parameters(), *part.buffers())]
        held = loading.CACHE.loaded()[(SCHNELL, "image_generation")]
    assert held == sum(tensor.nbytes for tensor in tensors) < catalog.card(SCHNELL).size_mb * 1000
    assert loading.ready() == [SCHNELL]


@pytest.mark.parametrize("model", [SCHNELL, HALF, SHARDED])
def test_parameters_are_counted_once_the_files_are_here(painter_hub, model):
    from pipelines import painter_files, painters

    with painters.use(model) as painter:
        parts = {name: part for name, part in painter.pipe.components.items() if hasattr(part, "parameters")}
    counted = painter_files.find(model).parameters()
    # Embeddings shared by two layers stand in a file once, or twice.
    for name, part in parts.items():
        assert counted[name] == pytest.approx(sum(tensor.numel() for tensor in part.parameters()), rel=0.1)


@pytest.mark.parametrize("model", [SD_TURBO, TYPED])
def test_the_second_time_asks_the_hub_nothing(painter_hub, restart, monkeypatch, model):
    import torch
    from huggingface_hub import constants

    from pipelines import hub as files
    from pipelines import painters

    assert files.state(model) == "remote"
    with painters.use(model) as painter:
        first = latents(painter.pipe, painter.habits)
    assert files.state(model) == "cached"
    restart()
    painter_hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with painters.use(model) as painter:
        assert torch.equal(latents(painter.pipe, painter.habits), first)
    assert painter_hub.requests == []
    assert refused(SDXL_TURBO) == "not_here_offline"


def test_half_a_download_is_not_taken_for_the_model(painter_hub, restart):
    from pipelines import hub as files
    from pipelines import painters

    painter_hub.fail(TYPED, "cut_off", "vae/diffusion_pytorch_model.safetensors", after=50)
    assert refused(TYPED) == "download_incomplete"
    assert files.state(TYPED) == "remote"
    painter_hub.mend()
    with painters.use(TYPED) as painter:
        assert painter.source == "cache"


def test_a_painter_is_loaded_once_however_many_ask(painter_hub):
    from concurrent.futures import ThreadPoolExecutor

    from pipelines import painters

    def ask(_):
        with painters.use(TYPED) as painter:
            return id(painter)

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(ask, range(6)))) == 1
    weights = [name for name in fetched(painter_hub, TYPED) if name.endswith(WEIGHTS)]
    assert len(weights) == len(set(weights)) == 4


def test_a_typed_painters_habits_come_from_its_files(painter_hub):
    from pipelines import painters

    before = painters.habits(TYPED)
    assert painter_hub.requests == []
    assert (before.family, before.steps) == ("sd", 25)
    for model in (TYPED, SHARDED, HALF):
        with painters.use(model):
            pass
    assert painters.habits(TYPED) == replace(painters.habits(DEV), memory_mb=0)
    assert painters.habits(SHARDED) == replace(painters.habits(SCHNELL), memory_mb=0)
    assert painters.habits(HALF).family == "sd"


def test_owners_may_allow_pickles_and_no_code_in_them_runs(painter_hub, monkeypatch):
    import torch

    from pipelines import hub as files
    from pipelines import loading, painters
    from pipelines.cache import ModelCache

    monkeypatch.setattr(files, "SETTINGS", replace(files.SETTINGS, allow_pickle=True))
    with painters.use(PICKLED) as painter:
        made = latents(painter.pipe, painter.habits)
    expected = latents(own(painter_hub.root / PICKLED, use_safetensors=None), painter.habits)
    assert torch.equal(made, expected)

    weights, marker = files_of(PICKLED) / "unet" / "diffusion_pytorch_model.bin", painter_hub.root / MARKER
    torch.save({"conv_in.weight": torch.zeros(1), "harm": Exploit(marker)}, weights)
    monkeypatch.setattr(loading, "CACHE", ModelCache(10**9))
    assert refused(PICKLED) == "load_failed"
    assert not marker.exists()


def files_of(model):
    """Return the folder of a painter in the cache."""
    from pipelines import painter_files

    return painter_files.find(model).folder


def test_the_pocket_painter_is_a_folder_of_the_app(painter_hub, monkeypatch, tmp_path):
    from pipelines import hub as files
    from pipelines import painters
    from pipelines.errors import VisitorError

    monkeypatch.setattr(files, "POCKET", tmp_path)
    assert refused(painters.POCKET) == "unknown_model"
    with pytest.raises(VisitorError, match="unknown_model"):
        files.state(painters.POCKET)
    (tmp_path / "flux-emoji").symlink_to(painter_hub.root / SCHNELL)
    assert files.state(painters.POCKET) == "pocket"
    with painters.use(painters.POCKET) as painter:
        assert (painter.source, painter.habits.show_at) == ("pocket", 512)
    assert painter_hub.requests == []

"""Painters without weights: how each is used, where it would go, and what is refused before anything is fetched."""

from dataclasses import replace

import pytest

from pipelines import catalog, hub, loading, painter_files, painters
from pipelines.cache import ModelCache
from pipelines.errors import VisitorError
from pipelines.painter_files import PainterFiles
from pipelines.painter_habits import HABITS

SCHNELL, SD_TURBO = "black-forest-labs/FLUX.1-schnell", "stabilityai/sd-turbo"
GB = 10**9
# FLUX.1 in bfloat16, Stable Diffusion in float32, as their repositories hold them.
FLUX = {"transformer": 24 * GB, "text_encoder_2": 9 * GB + GB // 2, "text_encoder": GB // 4, "vae": GB // 6}
SMALL = {"unet": 346 * GB // 100, "text_encoder": 136 * GB // 100, "vae": GB // 3}


def files(sizes, model=SCHNELL, pipeline="FluxPipeline", name="model.safetensors"):
    return PainterFiles(model, pipeline, {f"{part}/{name}": size for part, size in sizes.items()}, None, "hub")


def small(**more):
    return files(SMALL, SD_TURBO, "StableDiffusionPipeline", **more)


@pytest.fixture
def cpu(monkeypatch):
    """A function that makes this a machine without a GPU, with so many bytes for models."""
    import torch

    def machine(budget, bfloat16=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(painters, "default_budget", lambda: budget)
        monkeypatch.setattr(painters, "_multiplies_bfloat16", lambda: bfloat16)

    return machine


@pytest.fixture
def gpu(monkeypatch):
    """A function that makes this a machine with a GPU, with so many bytes free on it and in the RAM."""
    import torch

    def machine(free, budget):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, free))
        monkeypatch.setattr(painters, "default_budget", lambda: budget)

    return machine


def place(wanted):
    return painters._place(wanted, painters._room())


def test_every_listed_painter_has_habits_of_its_own():
    assert [card.id for card in painters.offered()] == [
        card.id for card in catalog.MODELS if painters.TASK in card.tasks
    ]
    assert {card.id for card in painters.offered()} == set(HABITS)
    assert [card.id for card in painters.offered()][:2] == [painters.POCKET, SD_TURBO]


@pytest.mark.parametrize("model", [*HABITS, "someone/unheard-of"])
def test_habits_keep_to_their_own_limits(model):
    own = painters.habits(model)
    assert 1 <= own.steps <= own.most_steps and 0 <= own.guidance <= own.most_guidance
    for width, height in own.sizes:
        assert width % own.multiple == height % own.multiple == 0 and max(width, height) <= own.most_side


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SCHNELL, ("flux", 4, 0.0, False, 256)),
        ("black-forest-labs/FLUX.1-dev", ("flux", 28, 3.5, False, 512)),
        ("black-forest-labs/FLUX.2-klein-4B", ("flux2", 4, 1.0, False, 512)),
        (SD_TURBO, ("sd", 2, 0.0, False, None)),
        ("stabilityai/sdxl-turbo", ("sdxl", 2, 0.0, False, None)),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", ("sd", 25, 7.5, True, None)),
        (painters.POCKET, ("flux", 20, 2.5, False, 16)),
        ("someone/unheard-of", ("sd", 25, 7.5, True, None)),
    ],
)
def test_habits_are_those_that_the_models_pages_advise(model, expected):
    own = painters.habits(model)
    assert (own.family, own.steps, own.guidance, own.negative_prompt, own.max_sequence_length) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"model_index.json": {"_class_name": "FluxPipeline"}}, ("flux", 4)),
        (
            {"model_index.json": {"_class_name": "FluxPipeline"}, "transformer/config.json": {"guidance_embeds": True}},
            ("flux", 28),
        ),
        ({"model_index.json": {"_class_name": "Flux2KleinPipeline", "is_distilled": True}}, ("flux2", 4)),
        ({"model_index.json": {"_class_name": "Flux2KleinPipeline"}}, ("flux2", 28)),
        ({"model_index.json": {"_class_name": "StableDiffusionXLPipeline"}}, ("sdxl", 25)),
        ({"model_index.json": {"_class_name": ["own", "Pipeline"]}}, ("sd", 25)),
        ({"unet/config.json": {"sample_size": [64, 64]}}, ("sd", 25)),
    ],
)
def test_habits_of_a_typed_painter_are_told_by_its_files(monkeypatch, settings, expected):
    monkeypatch.setattr(painter_files, "settings", lambda _: settings)
    own = painters.habits("someone/paints")
    assert (own.family, own.steps) == expected


def test_stable_diffusion_2_paints_at_768(monkeypatch):
    index = {"model_index.json": {"_class_name": "StableDiffusionPipeline"}, "unet/config.json": {"sample_size": 96}}
    monkeypatch.setattr(painter_files, "settings", lambda _: index)
    assert painters.habits("someone/paints").sizes[0] == (768, 768)


def test_the_default_is_the_pocket_painter_unless_another_is_preferred_and_here(monkeypatch):
    monkeypatch.setattr(hub, "state", lambda name: "cached" if name == SCHNELL else "remote")
    assert painters.default_model() == painters.POCKET
    monkeypatch.setattr(painters, "SETTINGS", replace(painters.SETTINGS, prefer_hub=True))
    assert painters.default_model() == SCHNELL
    monkeypatch.setattr(hub, "state", lambda name: "remote")
    assert painters.default_model() == painters.POCKET


def test_a_painter_that_cannot_fit_is_refused_with_what_it_needs_and_what_would_fit(cpu):
    cpu(8 * GB)
    with pytest.raises(VisitorError, match="painter_too_big") as caught:
        place(files(FLUX))
    assert caught.value.params == {
        "model": SCHNELL,
        "needs_gb": 67.8,
        "has_gb": 8.0,
        "others": "pocket/flux-emoji, stabilityai/sd-turbo",
    }


def test_a_small_machine_is_not_sent_to_the_model_that_it_refused(cpu):
    cpu(GB)
    with pytest.raises(VisitorError, match="painter_too_big") as caught:
        place(small())
    assert caught.value.params["others"] == painters.POCKET


def test_a_processor_multiplies_in_float32_unless_it_knows_better_and_the_model_is_large(cpu):
    cpu(40 * GB)
    assert place(small()) == painters._Place("cpu", "float32", False, sum(SMALL.values()) // 4 * 4)
    with pytest.raises(VisitorError, match="painter_too_big"):
        place(files(FLUX))
    cpu(40 * GB, bfloat16=True)
    assert place(files(FLUX)).dtype == place(small()).dtype == "bfloat16"
    assert place(files({"transformer": GB})).dtype == "float32"
    assert painters.memory_mb() == 40_000


def test_a_gpu_takes_the_whole_model_or_its_parts_in_turn_or_none(gpu):
    gpu(80 * GB, 60 * GB)
    whole = place(files(FLUX))
    assert (whole.device, whole.dtype, whole.offload) == ("cuda:0", "bfloat16", False)
    gpu(30 * GB, 60 * GB)
    assert place(files(FLUX)).offload
    assert place(small()) == painters._Place("cuda:0", "float16", False, sum(SMALL.values()) // 4 * 2)
    for free, budget in ((20 * GB, 60 * GB), (30 * GB, 30 * GB)):
        gpu(free, budget)
        with pytest.raises(VisitorError, match="painter_too_big"):
            place(files(FLUX))


def test_half_precision_on_disk_is_twice_the_parameters(cpu):
    full, half = small().parameters(), small(name="model.fp16.safetensors").parameters()
    assert sum(full.values()) * 2 == pytest.approx(sum(half.values()), abs=5)


def test_a_hub_that_tells_no_sizes_leaves_the_catalogs(cpu):
    cpu(8 * GB)
    with pytest.raises(VisitorError, match="painter_too_big") as caught:
        place(files(dict.fromkeys(FLUX, 0)))
    assert caught.value.params["needs_gb"] == 68.0


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["model.safetensors", "model.fp16.safetensors", "pytorch_model.bin"], (["model.safetensors"], "")),
        (["diffusion_pytorch_model.non_ema.safetensors"], ([], "")),
        (["model.fp16.safetensors", "pytorch_model.bin"], (["model.fp16.safetensors"], "fp16")),
        (["model-00001-of-00002.safetensors", "model.safetensors.index.json"], ([], "")),
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], ([], "")),
        (["diffusion_pytorch_model.bin"], (["diffusion_pytorch_model.bin"], "")),
        (["model.onnx", "model.msgpack", "openvino_model.bin", "config.json"], ([], "")),
    ],
)
def test_weights_are_safetensors_in_full_precision_where_there_are_any(names, expected):
    chosen, variant, _ = painter_files._weights(dict.fromkeys(names, 1))
    assert (chosen, variant) == expected


def test_the_pocket_painter_may_be_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "POCKET", tmp_path)
    monkeypatch.setattr(loading, "CACHE", ModelCache(10**10))  # whoever ran before may have loaded it
    with pytest.raises(VisitorError, match="unknown_model"), painters.use(painters.POCKET):
        pass
    assert painters.habits(painters.POCKET).sizes == ((64, 64),)


def test_a_model_of_another_task_is_refused_by_its_card():
    with pytest.raises(VisitorError, match="wrong_task") as caught, painters.use("klue/bert-base"):
        pass
    assert caught.value.params["made_for"] == "fill_mask"


def test_a_painter_that_is_not_here_says_so_offline():
    with pytest.raises(VisitorError, match="not_here_offline"), painters.use(SD_TURBO):
        pass
    assert hub.state(SD_TURBO) == "remote"


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]", b"\x05\0\0\0\0\0\0\0{}"])
def test_a_broken_header_counts_as_nothing(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert painter_files._parameters(path) == 0

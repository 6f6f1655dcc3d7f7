# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pretrained models: folders of diffusers, single files under their original names, the local hub cache."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    create_unet_diffusers_config_from_ldm,
    create_vae_diffusers_config_from_ldm,
)
from safetensors.torch import load_file, save_file

from anomalib_stage.errors import BundleError, MissingPackageError
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, SamplerSettings, SynthesisSettings
from anomalib_stage.synthesis.diffusion.latent_denoiser import LatentDenoiser
from anomalib_stage.synthesis.diffusion.schedule import REFERENCE_SCHEDULE
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.bundle import build_latent_bundle
from anomalib_stage.weights.latent.ldm_config import build_ldm_config
from anomalib_stage.weights.latent.ldm_text import ANOMALY, END, PADDING, START, load_text_encoder
from anomalib_stage.weights.latent.pickles import read_checkpoint
from anomalib_stage.weights.latent.pretrained import load_pretrained
from anomalib_stage.weights.latent_manifest import AdapterSpec
from anomalib_stage.weights.manifest import DefectSpec
from tests.ldm_checkpoint import CONFIG, ldm_weights, networks, write_ldm
from tests.tiny_latent import SIDE, tiny_unet, tiny_vae, write_folder
from tests.tiny_text import write_bert, write_clip, write_ldm_bert

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def same(network: torch.nn.Module, expected: torch.nn.Module) -> bool:
    state, wanted = network.state_dict(), expected.state_dict()
    return state.keys() == wanted.keys() and all(torch.equal(state[name], wanted[name]) for name in wanted)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("diffusers") / "tiny")


@pytest.fixture(scope="module")
def ldm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_ldm(tmp_path_factory.mktemp("ldm"))


def test_a_folder_of_diffusers(folder: Path) -> None:
    before = torch.get_rng_state()
    model = load_pretrained(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(model.unet, tiny_unet())
    assert same(model.vae, tiny_vae())
    assert model.schedule == REFERENCE_SCHEDULE | {"rescale_betas_zero_snr": False}
    assert model.region_size == SIDE
    assert not model.has_text_encoder
    assert not any(parameter.requires_grad for parameter in model.unet.parameters())
    with pytest.raises(BundleError, match="no text encoder"):
        model.encode_word("crack")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no unet": lambda f: shutil.rmtree(f / "unet"),
    "no scheduler": lambda f: shutil.rmtree(f / "scheduler"),
    "pickles only": lambda f: (f / "vae" / "diffusion_pytorch_model.safetensors").rename(
        f / "vae" / "diffusion_pytorch_model.bin"
    ),
    "cut short": lambda f: (f / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"{}"),
    "a weight is missing": lambda f: save_file(
        {k: v for k, v in tiny_unet().state_dict().items() if k != "conv_in.bias"},
        f / "unet" / "diffusion_pytorch_model.safetensors",
    ),
    "a weight too many": lambda f: save_file(
        tiny_vae().state_dict() | {"other": torch.zeros(2)}, f / "vae" / "diffusion_pytorch_model.safetensors"
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_folder_is_refused(case: str, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    DAMAGE[case](copy)
    with pytest.raises(BundleError, match=str(copy)):
        load_pretrained(copy)


def test_words_need_transformers(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "text_encoder").mkdir()
    model = load_pretrained(copy)
    assert model.has_text_encoder
    try:
        import transformers  # noqa: F401
    except ImportError:
        with pytest.raises(MissingPackageError, match=r"anomalib-stage\[hub\]"):
            model.encode_word("crack")
    else:
        with pytest.raises(BundleError, match="cannot be read"):
            model.encode_word("crack")


def test_words_become_what_the_text_encoder_says(folder: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    write_clip(copy)
    model, before = load_pretrained(copy), torch.get_rng_state()
    crack, rack = model.encode_word("crack"), model.encode_word("rack")
    assert torch.equal(torch.get_rng_state(), before)
    assert crack.shape == (9, 32)
    assert torch.equal(crack, model.encode_word("crack"))
    assert not torch.allclose(crack, rack)
    encoder = transformers.CLIPTextModel.from_pretrained(copy / "text_encoder").eval()
    with torch.no_grad():  # <|startoftext|> c r a c k</w> <|endoftext|>, and padding with the same
        expected = encoder(torch.tensor([[0, 3, 4, 2, 3, 9, 1, 1, 1]])).last_hidden_state[0]
    torch.testing.assert_close(crack, expected)
    weights = load_file(copy / "text_encoder" / "model.safetensors")
    weights.pop(next(name for name in weights if name.endswith("final_layer_norm.weight")))
    save_file(weights, copy / "text_encoder" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BundleError, match="1 weights missing"):
        model.encode_word("crack")


def test_words_of_text2img_large(ldm: tuple[Path, Path], tmp_path: Path) -> None:
    """From the single file with a tokenizer beside it, and from a folder of diffusers: the same numbers."""
    pytest.importorskip("transformers")
    checkpoint = shutil.copy(ldm[0], tmp_path / "model.ckpt")
    model = load_pretrained(checkpoint, config=ldm[1])
    assert not model.has_text_encoder
    with pytest.raises(BundleError, match="no folder tokenizer of bert-base-uncased beside it"):
        model.encode_word("crack")
    write_bert(tmp_path)
    single = model.encode_word("Crack")
    assert single.shape == (12, 32)
    assert not torch.allclose(single, model.encode_word("scratch"))
    encoder = load_text_encoder(ldm_weights(), path=checkpoint)
    torch.testing.assert_close(single, encoder.encode_tokens([START, 8, END, *[PADDING] * 9]))
    shutil.copytree(tmp_path / "tokenizer", tmp_path / "folder" / "tokenizer")
    folder = write_folder(tmp_path / "folder")
    (folder / "vae").rename(folder / "vqvae")
    write_ldm_bert(folder, encoder)
    whole = load_pretrained(folder)
    assert same(whole.vae, tiny_vae())
    torch.testing.assert_close(whole.encode_word("Crack"), single, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_stable_diffusion_2(prediction: str, folder: Path, tmp_path: Path) -> None:
    """A folder as of 2.x: linear projections, heads of one width, predictions of v; and it paints."""
    copy = tmp_path / "sd2"
    shutil.copytree(folder, copy)
    unet = UNet2DConditionModel.from_config(
        {**tiny_unet().config, "use_linear_projection": True, "attention_head_dim": [2, 4], "upcast_attention": True}
    )
    shutil.rmtree(copy / "unet")
    unet.save_pretrained(copy / "unet")
    DDPMScheduler(**{**REFERENCE_SCHEDULE, "prediction_type": prediction}).save_pretrained(copy / "scheduler")
    model = load_pretrained(copy)
    assert model.schedule["prediction_type"] == prediction
    denoiser = LatentDenoiser(model.unet, conditions={"hole": torch.zeros(3, 32)})
    made = build_latent_bundle(
        denoiser,
        model.vae,
        adapter=AdapterSpec(name="none"),
        defects=[DefectSpec(name="hole", shapes=("blob",))],
        schedule=model.schedule,
        region_size=model.region_size,
    )
    bundle = StageBundle.load(made.save(tmp_path / "sd2.safetensors"))
    settings = SynthesisSettings(sampler=SamplerSettings(steps=4), gate=GateSettings(min_visibility=0.0))
    clean = torch.full((1, 3, 40, 40), 0.5)
    pair = StageSynthesizer(bundle, device="cpu", synthesis=settings)(clean, defects="hole", seeds=0)
    assert (pair.image != clean).any()
    assert pair.image.isfinite().all()


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_a_single_file_under_its_original_names(suffix: str, ldm: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint, config = ldm
    if suffix == ".safetensors":
        checkpoint = tmp_path / "model.safetensors"
        save_file({k: v.clone().contiguous() for k, v in ldm_weights().items()}, checkpoint)
    unet, vae, text = networks()
    model = load_pretrained(checkpoint, config=config)
    assert same(model.unet, unet)
    assert same(model.vae, vae)
    assert model.vae.config.scaling_factor == 0.3
    assert model.region_size == 32
    assert model.schedule == REFERENCE_SCHEDULE
    assert model.context is not None
    assert torch.equal(model.context, text.encode_caption())


def test_the_published_caption_holds_the_learned_vectors(ldm: tuple[Path, Path]) -> None:
    encoder = load_text_encoder(ldm_weights(), path=ldm[0])
    vectors = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    table = encoder.token_emb.weight
    row = torch.cat([table[[START, ANOMALY]], vectors, table[[END]], table[[PADDING] * 5]])
    torch.testing.assert_close(encoder.encode_caption(vectors), encoder(row[None])[0])
    assert encoder.encode_caption(vectors).shape == (12, 32)


def test_the_text_encoder_is_pre_norm_with_eight_heads(ldm: tuple[Path, Path]) -> None:
    """Compare with the formulas, one head at a time."""
    encoder = load_text_encoder(ldm_weights(), path=ldm[0])
    x = torch.randn(2, 12, 32, generator=torch.Generator().manual_seed(0))
    expected = x + encoder.pos_emb["emb"].weight
    state = encoder.state_dict()
    for i in range(2):
        a, f = f"attn_layers.layers.{2 * i}.", f"attn_layers.layers.{2 * i + 1}."
        normed = torch.nn.functional.layer_norm(expected, (32,), state[a + "0.weight"], state[a + "0.bias"])
        q, k, v = (normed @ state[f"{a}1.to_{n}.weight"].T for n in "qkv")
        heads = []
        for h in range(8):
            part = slice(8 * h, 8 * h + 8)
            weights = torch.softmax(q[..., part] @ k[..., part].transpose(1, 2) / 8**0.5, dim=-1)
            heads.append(weights @ v[..., part])
        expected = expected + torch.cat(heads, -1) @ state[f"{a}1.to_out.weight"].T + state[f"{a}1.to_out.bias"]
        normed = torch.nn.functional.layer_norm(expected, (32,), state[f + "0.weight"], state[f + "0.bias"])
        hidden = torch.nn.functional.gelu(normed @ state[f + "1.net.0.0.weight"].T + state[f + "1.net.0.0.bias"])
        expected = expected + hidden @ state[f + "1.net.2.weight"].T + state[f + "1.net.2.bias"]
    expected = torch.nn.functional.layer_norm(expected, (32,), state["norm.weight"], state["norm.bias"])
    torch.testing.assert_close(encoder(x), expected, atol=1e-4, rtol=1e-4)


def known(context: int, width: int = 320, channels: int = 4) -> dict[str, torch.Tensor]:
    prefix = "model.diffusion_model.input_blocks"
    return {
        f"{prefix}.0.0.weight": torch.empty(width, channels, 3, 3, device="meta"),
        f"{prefix}.1.1.transformer_blocks.0.attn2.to_k.weight": torch.empty(width, context, device="meta"),
    }


@pytest.mark.parametrize(("context", "channels", "side"), [(1280, 4, 32), (768, 4, 64), (768, 9, 64)])
def test_known_checkpoints_need_no_configuration(context: int, channels: int, side: int) -> None:
    params = build_ldm_config(known(context, channels=channels), path=Path("model.ckpt"))["model"]["params"]
    assert params["image_size"] == side
    assert params["unet_config"]["params"]["context_dim"] == context
    assert params["unet_config"]["params"]["in_channels"] == channels


@pytest.mark.parametrize(("context", "millions"), [(1280, 872.30), (768, 859.52)])
def test_known_configurations_are_those_of_the_published_networks(context: int, millions: float) -> None:
    weights = known(context)
    config = build_ldm_config(weights, path=Path("model.ckpt"))
    with torch.device("meta"):
        unet = UNet2DConditionModel(**create_unet_diffusers_config_from_ldm(config, weights))
        vae = AutoencoderKL(**create_vae_diffusers_config_from_ldm(config, weights))
    counts = [sum(p.numel() for p in network.parameters()) / 1e6 for network in (unet, vae)]
    assert counts == pytest.approx([millions, 83.65], abs=0.01)


@pytest.mark.parametrize("weights", [{}, known(1024), known(1280, width=64)])
def test_unknown_checkpoints_ask_for_one(weights: dict[str, torch.Tensor]) -> None:
    with pytest.raises(BundleError, match="--ldm-config|original checkpoint"):
        build_ldm_config(weights, path=Path("model.ckpt"))


def test_single_files_that_do_not_fit(ldm: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint, config = ldm
    weights = ldm_weights()
    first = "model.diffusion_model.input_blocks.0.0.bias"
    for name, change in (
        ("missing", lambda w: w.pop(first)),
        ("unknown", lambda w: w.update({"model.diffusion_model.other.weight": torch.zeros(2)})),
        ("renamed", lambda w: w.update({"model.diffusion_model.input_blocks.0.9.bias": w.pop(first)})),
        ("misshapen", lambda w: w.update({first: torch.zeros(3)})),
        ("no autoencoder", lambda w: [w.pop(k) for k in list(w) if k.startswith("first_stage_model.")]),
    ):
        copy = dict(weights)
        change(copy)
        path = tmp_path / f"{name}.ckpt"
        torch.save(copy, path)
        with pytest.raises(BundleError, match=name):
            load_pretrained(path, config=config)
    with pytest.raises(BundleError, match="--ldm-config"):
        load_pretrained(checkpoint)
    other = tmp_path / "config.yaml"
    wrong = json.loads(json.dumps(CONFIG))
    wrong["model"]["params"]["unet_config"]["params"]["channel_mult"] = [1, 1]
    for text in (yaml.safe_dump(wrong), "model: 3", "{", ""):
        other.write_text(text)
        with pytest.raises(BundleError):
            load_pretrained(checkpoint, config=other)


def test_pickles_are_read_without_running_them(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (ran,)

    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": {"w": torch.ones(2)}, "extra": Attack()}, path)
    with pytest.raises(BundleError, match="would run code") as caught:
        read_checkpoint(path)
    assert "weights_only=False" in str(caught.value)
    assert not ran.exists()
    for content, message in (([1], "not weights by name"), ({"a": 3}, "not weights by name")):
        torch.save(content, path)
        with pytest.raises(BundleError, match=message):
            read_checkpoint(path)
    for raw in (b"", b"PK\x03\x04 cut", b"\x80\x02."):
        path.write_bytes(raw)
        with pytest.raises(BundleError, match="cannot be read"):
            read_checkpoint(path)
    with pytest.raises(BundleError, match="no such file"):
        read_checkpoint(tmp_path / "none.ckpt")


def test_training_state_beside_the_weights_is_no_obstacle(tmp_path: Path) -> None:
    callbacks = pytest.importorskip("pytorch_lightning.callbacks")
    path = tmp_path / "model.ckpt"
    state = {callbacks.ModelCheckpoint: {"best_model_score": torch.tensor(1.0), "monitor": "loss"}}
    torch.save({"state_dict": {"w": torch.ones(2)}, "callbacks": state, "global_step": 3}, path)
    assert torch.equal(read_checkpoint(path)["w"], torch.ones(2))


def cached(root: Path, folder: Path) -> None:
    """Lay a snapshot into a hub cache as huggingface_hub keeps it."""
    snapshot = root / "models--someone--tiny" / "snapshots" / COMMIT
    snapshot.parent.mkdir(parents=True)
    shutil.copytree(folder, snapshot)
    (root / "models--someone--tiny" / "refs").mkdir()


def test_hub_ids_are_read_from_the_cache_and_never_fetched_unasked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BundleError, match="not in the local cache; give --download"):
        load_pretrained(f"someone/tiny@{COMMIT}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BundleError, match="cannot be fetched"):
        load_pretrained(f"someone/tiny@{COMMIT}", download=True)
    cached(tmp_path, folder)
    model = load_pretrained(f"someone/tiny@{COMMIT}")
    assert same(model.unet, tiny_unet())
    assert model.origin == f"someone/tiny@{COMMIT}"


@pytest.mark.parametrize("source", ["someone/tiny", "someone/tiny@main", "someone/tiny@"])
def test_hub_ids_need_a_pinned_revision(source: str) -> None:
    with pytest.raises(BundleError, match="pin it"):
        load_pretrained(source)


@pytest.mark.parametrize("source", ["nowhere", "a/b/c", "models/model.ckpt", "someone/model.safetensors"])
def test_what_is_nowhere_is_said_so(source: str) -> None:
    with pytest.raises(BundleError, match="no such file or folder"):
        load_pretrained(source)


def test_the_configuration_of_a_single_file_says_what_is_predicted(ldm: tuple[Path, Path], tmp_path: Path) -> None:
    content = yaml.safe_load(ldm[1].read_text())
    content["model"]["params"] |= {"parameterization": "v", "timesteps": 500}
    (tmp_path / "v2.yaml").write_text(yaml.safe_dump(content))
    schedule = load_pretrained(ldm[0], config=tmp_path / "v2.yaml").schedule
    assert (schedule["prediction_type"], schedule["num_train_timesteps"]) == ("v_prediction", 500)


def test_the_scheduler_of_a_folder_counts(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    DDPMScheduler(**{**REFERENCE_SCHEDULE, "prediction_type": "v_prediction"}).save_pretrained(copy / "scheduler")
    assert load_pretrained(copy).schedule["prediction_type"] == "v_prediction"

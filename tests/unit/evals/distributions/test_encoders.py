"""Tiny random networks of every kind give features as the table says."""

import logging
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from blip3o.errors import CheckpointError, ConfigError
from blip3o.evals.distributions import encoders
from blip3o.evals.distributions.clipscore import WAYS, ClipScorer, cosines

WIDTH = 16
LAYERS: dict[str, Any] = {
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_size": WIDTH,
    "intermediate_size": WIDTH,
}
TINY = {"vocab_size": 8, "max_position_embeddings": 12, "bos_token_id": 0, "eos_token_id": 1} | LAYERS


def dinov2():
    from transformers import Dinov2Config, Dinov2Model

    return Dinov2Model(Dinov2Config(image_size=28, patch_size=14, mlp_ratio=1, **LAYERS))


def clip():
    from transformers import CLIPConfig, CLIPModel

    vision = LAYERS | {"image_size": 32, "patch_size": 16}
    return CLIPModel(CLIPConfig(text_config=TINY, vision_config=vision, projection_dim=8))


def siglip2():
    from transformers import SiglipConfig, SiglipModel

    return SiglipModel(SiglipConfig(text_config=TINY, vision_config=LAYERS | {"image_size": 32, "patch_size": 16}))


def mae():
    from transformers import ViTMAEConfig, ViTMAEModel

    return ViTMAEModel(ViTMAEConfig(image_size=32, patch_size=16, **LAYERS))


def convnextv2():
    from transformers import ConvNextV2Config, ConvNextV2Model

    return ConvNextV2Model(ConvNextV2Config(hidden_sizes=[4, 4, 8, WIDTH], depths=[1, 1, 1, 1]))


class Inception(torch.nn.Module):
    """Gives the mean of every channel, through a part named as in the published file."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        return self.layers(x) + 1000


MADE = {"dinov2": dinov2, "clip": clip, "siglip2": siglip2, "mae": mae, "convnextv2": convnextv2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    logging.getLogger("transformers").setLevel(logging.ERROR)
    root = tmp_path_factory.mktemp("encoders")
    for name, make in MADE.items():
        torch.manual_seed(0)
        make().save_pretrained(root / name)
    torch.jit.script(Inception()).save(root / "inception.pt")
    return root


def pictures(count=3, size=(48, 40)):
    generator = np.random.default_rng(0)
    return [Image.fromarray(generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)) for _ in range(count)]


def test_the_table_names_these_encoders():
    assert set(encoders.ENCODERS) == {*MADE, "inception"}


@pytest.mark.parametrize("name", MADE)
def test_features_are_one_finite_row_for_each_picture_whatever_the_batch(folder, name):
    encode = encoders.load(name, str(folder / name))
    given = pictures()
    whole = encode(given)
    assert whole.shape == (3, WIDTH)
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    assert np.concatenate([encode(given[:1]), encode(given[1:])]) == pytest.approx(whole, abs=1e-5)
    assert np.abs(whole[0] - whole[1]).max() > 1e-6
    assert encode([given[0].convert("RGBA")]) == pytest.approx(whole[:1], abs=1e-5)


def test_mae_sees_every_patch(folder):
    encode = encoders.load("mae", str(folder / "mae"))
    plain = Image.new("RGB", (32, 32), "gray")
    for x in (0, 16):
        for y in (0, 16):
            changed = plain.copy()
            changed.paste("white", (x, y, x + 16, y + 16))
            assert np.abs(encode([changed]) - encode([plain])).max() > 1e-6


def test_inception_is_the_part_of_the_user_s_file_on_clean_pixels(folder):
    encode = encoders.load("inception", str(folder / "inception.pt"))
    found = encode([Image.new("RGB", (10, 10), (128, 0, 192))])
    assert found == pytest.approx(np.array([[0.0, -1.0, 0.5]]), abs=1e-5)


def test_preparation_is_of_published_form():
    picture = Image.new("RGB", (60, 30), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 0, 10, 30))
    clip = encoders.CLIP.prepared([picture])
    assert clip.shape == (1, 3, 224, 224)
    assert clip[0, 0].min() == pytest.approx((1 - 0.48145466) / 0.26862954, abs=1e-4)  # the blue edge is cropped away
    whole = encoders.PRETRAINED["dinov2"].prepared([picture])
    assert whole[0, :, 0, 0].tolist() == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, (1 - 0.406) / 0.225], abs=1e-4)
    siglip = encoders.PRETRAINED["siglip2"].prepared([picture])
    assert (siglip.shape[-1], siglip.min(), siglip.max()) == (256, -1, 1)


def test_networks_that_cannot_be_had_are_told_in_a_line(folder, tmp_path):
    with pytest.raises(ConfigError, match="no encoder is called 'vgg'"):
        encoders.load("vgg")
    with pytest.raises(ConfigError, match="name its TorchScript file"):
        encoders.load("inception")
    (tmp_path / "broken.pt").write_bytes(b"no network")
    (tmp_path / "empty").mkdir()
    for name, source in (("inception", "broken.pt"), ("inception", "none.pt"), ("dinov2", "empty")):
        with pytest.raises(CheckpointError) as raised:
            encoders.load(name, str(tmp_path / source))
        assert "\n" not in str(raised.value)
    with pytest.raises(CheckpointError, match="is a clip: expected a dinov2"):
        encoders.load("dinov2", str(folder / "clip"))


def test_a_network_that_lacks_tensors_is_refused(folder, tmp_path):
    from transformers import Dinov2Config, Dinov2Model

    small = Dinov2Model(Dinov2Config(image_size=28, patch_size=14, mlp_ratio=1, **LAYERS))
    small.save_pretrained(tmp_path)
    layers: dict[str, Any] = LAYERS | {"num_hidden_layers": 2}
    more = Dinov2Config(image_size=28, patch_size=14, mlp_ratio=1, **layers)
    more.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"lacks \d+ tensors"):
        encoders.load("dinov2", str(tmp_path))


# --- CLIPScore --------------------------------------------------------------------------------------------------------


@pytest.fixture
def scored(folder):
    from transformers import CLIPTokenizer

    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "cat</w>": 3, "photo</w>": 4, "depicts</w>": 5}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder / "clip")
    return folder / "clip"


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_has_a_cosine_with_its_prompt(scored, way):
    scorer = ClipScorer(way, str(scored))
    values = scorer(pictures(2), ["a cat", "a"])
    assert values.shape == (2,)
    assert (np.abs(values) <= 1).all()
    assert scorer(pictures(2), ["a cat", "a " * 50])[0] == pytest.approx(values[0], abs=1e-5)


def test_the_paper_s_way_puts_words_before_the_prompt(scored):
    hessel, plain = ClipScorer("hessel", str(scored)), ClipScorer("torchmetrics", str(scored))
    expected = plain(pictures(1), ["A photo depicts a cat"])
    assert hessel(pictures(1), ["a cat"]) == pytest.approx(expected, abs=1e-6)


def test_a_folder_without_a_tokenizer_is_told(tmp_path):
    clip().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="has no tokenizer") as raised:
        ClipScorer("hessel", str(tmp_path))
    assert "\n" not in str(raised.value)


def test_features_of_nought_have_no_cosine():
    values = cosines(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert np.isnan(values[0])
    assert values[1] == pytest.approx(np.sqrt(0.5))


def test_scores_are_of_their_published_scales():
    values = np.array([-0.5, 0.5])
    assert (WAYS["hessel"].score(values), WAYS["torchmetrics"].score(values)) == (0.625, 0)

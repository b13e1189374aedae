"""CLIP as GenEval's colour classifier, at a size that a test can afford."""

import json

import pytest
import torch
from PIL import Image

from blip3o.errors import DataError
from blip3o.evals.distributions.encoders import CLIP
from blip3o.evals.generation.colors import ColorClassifier, prepared
from blip3o.evals.generation.geneval import COLORS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random CLIP whose tokenizer knows letters only."""
    from transformers import CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(number) for number in range(33, 127)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**size, "vocab_size": len(words), "eos_token_id": len(words) - 1, "bos_token_id": len(words) - 2},
        vision_config={**size, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    return str(folder)


def test_every_crop_gets_one_of_the_ten_colours(folder):
    crops = [Image.new("RGB", (5 + index, 40 - index), color) for index, color in enumerate(COLORS * 2)]
    found = ColorClassifier(folder).classify("dog", crops)
    assert len(found) == 20
    assert set(found) <= set(COLORS)


def test_a_crop_is_judged_by_itself(folder):
    classifier = ColorClassifier(folder)
    crops = [Image.effect_noise((40, 30 + index), 80) for index in range(18)]
    assert classifier.classify("cat", crops) == [classifier.classify("cat", [one])[0] for one in crops]


def test_a_colour_is_the_mean_of_the_sentences_that_name_it(folder):
    classifier = ColorClassifier(folder)
    features = classifier._features_of_words(
        ["a photo of a orange dog", "a photo of a orange-colored dog", "a photo of a orange object"]
    )
    mean = features.mean(dim=0)
    assert torch.allclose(classifier._features_of_colors("dog")[1], mean / mean.norm(), atol=1e-5)


def test_nothing_to_judge_is_nothing_judged(folder):
    assert ColorClassifier(folder).classify("dog", []) == []


def test_the_middle_square_is_shown():
    picture = Image.new("RGB", (96, 32), "black")
    picture.paste("white", (32, 0, 64, 32))
    white = [(1 - mean) / deviation for mean, deviation in zip(CLIP.mean, CLIP.deviation, strict=True)]
    assert prepared(picture, 32)[:, 16, 16].tolist() == pytest.approx(white)
    assert prepared(picture, 32).shape == (3, 32, 32)


def test_a_crop_without_area_is_refused():
    with pytest.raises(DataError, match="0 x 7 px"):
        prepared(Image.new("RGB", (0, 7)), 32)

"""One template for training and inference: the library's own text, loss only at what the assistant writes."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from blip3o.batch import IGNORED
from blip3o.errors import ConfigError, PictureError, PromptError
from blip3o.picturebook.world.scene import SIZE
from blip3o.processing import tokenizer as tok
from blip3o.processing.chat_template import ChatTemplate, features_of
from blip3o.processing.conversation import Picture, Turn
from blip3o.processing.images import square

SYSTEM = Turn("system", ("Think before you draw.",))
ASKED = Turn("user", ("a red dog in the snow",))
ANSWERED = Turn("assistant", ("a blue cat.",))
THOUGHT = "<think>so a red dog.</think>"


def picture(shade=0, features=True):
    known = np.full((8, 3, 3), shade / 255, np.float16) if features else None
    return Picture(np.full((SIZE, SIZE, 3), shade, np.uint8), known)


def text(template, tokens):
    """The tokens as text, pictures and slot as one mark each, without the tokenizer's space before a first word."""
    control = template.words.control
    marks = (control[tok.IMAGE_PAD], control[tok.QUERY])
    kept = [token for at, token in enumerate(tokens) if token not in marks or tokens[at - 1 : at] != [token]]
    return re.sub(r"(?<=[>\]]) ", "", template.words.tokenizer.decode(kept))


def learned(template, encoded):
    return text(template, [label for label in encoded.labels if label != IGNORED])


@pytest.mark.parametrize(
    "talk",
    [(ASKED,), (SYSTEM, ASKED), (ASKED, ANSWERED, ASKED), (SYSTEM, ASKED, ANSWERED, Turn("user", ("is it night?",)))],
    ids=len,
)
def test_what_is_asked_is_the_tokenizers_own_chat_template(template, talk):
    turns = [{"role": turn.role, "content": turn.content[0]} for turn in talk]
    published = template.words.tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
    assert template.ask(talk).tokens == published


def test_a_checkpoint_holds_the_template_that_a_whole_conversation_is_written_in(template, tmp_path):
    talk = (SYSTEM, ASKED, ANSWERED, Turn("user", ("is it night?",)), Turn("assistant", ("no.",)))
    template.words.save(tmp_path)
    saved = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    turns = [{"role": turn.role, "content": turn.content[0]} for turn in talk]
    ours = template.encode(talk).tokens
    assert [*ours, *template.words.encode("\n")] == saved.apply_chat_template(turns)["input_ids"]


def test_what_is_learned_goes_on_where_what_is_asked_ends(template):
    for answer in (ANSWERED, Turn("assistant", (picture(),)), Turn("assistant", (THOUGHT, picture()))):
        asked, encoded = template.ask((ASKED,)), template.encode((ASKED, answer))
        assert encoded.tokens[: len(asked.tokens)] == asked.tokens
        assert encoded.labels[: len(asked.tokens)] == [IGNORED] * len(asked.tokens)


def test_a_drawing_is_learned_in_the_very_tokens_it_is_drawn_with(template):
    talk = (Turn("user", (picture(), "make it night")),)
    encoded = template.encode((*talk, Turn("assistant", (THOUGHT, picture()))))
    asked = template.ask(talk, template.words.encode(THOUGHT), draw=True)
    assert encoded.tokens == asked.tokens
    assert encoded.has_slot
    assert asked.has_slot


def test_an_answer_is_learned_with_the_end_of_its_turn(template):
    assert learned(template, template.encode((ASKED, ANSWERED))) == "a blue cat.<|im_end|>"


def test_a_drawing_is_learned_as_its_thought_and_the_decision_to_draw(template):
    drawn = template.encode((SYSTEM, ASKED, Turn("assistant", (THOUGHT, picture()))))
    assert learned(template, drawn) == f"{THOUGHT}[IMG]"
    assert text(template, drawn.tokens).endswith(f"assistant\n{THOUGHT}[IMG]<image>")


def test_of_earlier_turns_the_assistants_words_are_learned_and_its_pictures_read(template):
    talk = (ASKED, Turn("assistant", (picture(),)), Turn("user", ("how many?",)), ANSWERED, ASKED, ANSWERED)
    encoded = template.encode(talk)
    assert learned(template, encoded) == "a blue cat.<|im_end|>" * 2
    assert text(template, encoded.tokens).count("<|vision_start|><|image_pad|><|vision_end|>") == 1
    assert [shown is talk[1].content[0] for shown in encoded.pictures] == [True]


def test_a_conversation_without_an_answer_cannot_be_learned(template):
    for talk in ((), (ASKED,)):
        with pytest.raises(PromptError, match="assistant"):
            template.encode(talk)


@pytest.mark.parametrize("left", [False, True])
def test_a_batch_pads_on_one_side_and_learns_nothing_there(template, left):
    encoded = [template.encode((ASKED, ANSWERED)), template.encode((SYSTEM, ASKED, ANSWERED))]
    batch = template.collate(encoded, left=left)
    for row, item in enumerate(encoded):
        assert batch.tokens[row][batch.mask[row]].tolist() == item.tokens
        assert batch.labels[row][batch.mask[row]].tolist() == item.labels
    assert (batch.labels[~batch.mask] == IGNORED).all()
    padded = batch.mask.long().diff().unique().tolist()
    assert padded == ([0, 1] if left else [-1, 0])


def test_pictures_stand_at_their_places_in_order(template):
    talk = (Turn("user", (picture(10), picture(20), "make it night")), Turn("assistant", (picture(30),)))
    batch = template.collate([template.encode(talk), template.encode((ASKED, Turn("assistant", (picture(40),))))])
    per_picture = template.config.tokens_of(picture())
    assert batch.image_mask.sum(1).tolist() == [2 * per_picture, 0]
    assert batch.slot.sum(1).tolist() == [template.config.slot_length] * 2
    side = SIZE // template.config.patch_size
    assert batch.image_grid_thw.tolist() == [[1, side, side]] * 2
    shades = ((batch.pixel_values.view(2, -1)[:, 0] + 1) * 127.5).round()
    assert shades.tolist() == [10, 20]


def test_the_newest_picture_before_the_slot_is_the_reference(template):
    talk = (Turn("user", (picture(10), picture(20), "make it night")), Turn("assistant", (picture(30),)))
    batch = template.collate([template.encode(talk), template.encode((ASKED, Turn("assistant", (picture(40),))))])
    shades = (batch.target[:, 0, 0, 0] * 255).round(), (batch.reference[:, 0, 0, 0] * 255).round()
    assert [shade.tolist() for shade in shades] == [[30, 40], [20, 0]]
    assert batch.referenced.tolist() == [True, False]


def test_a_batch_that_draws_nothing_has_neither_target_nor_reference(template):
    batch = template.collate([template.encode((Turn("user", (picture(), "how many?")), ANSWERED))])
    assert batch.target is None
    assert batch.reference is None
    assert not batch.slot.any()


def test_features_are_known_for_all_pictures_of_a_batch_or_for_none(template):
    drawn = [template.encode((ASKED, Turn("assistant", (picture(features=known),)))) for known in (True, False)]
    assert template.collate(drawn[1:]).target is None
    with pytest.raises(PromptError, match="encode them all"):
        template.collate(drawn)


def test_a_batch_moves_whole_to_another_device(template):
    batch = template.collate([template.encode((ASKED, Turn("assistant", (picture(),))))])
    moved = batch.to("meta")
    assert moved.tokens.device == torch.device("meta")
    assert moved.target is not None
    assert moved.target.device == torch.device("meta")
    assert moved.pixel_values is None


# --- the words of published models ----------------------------------------------------------------------------------


@pytest.fixture
def published(template):
    wording = {"system": "You are a helpful assistant.", "request": "Please draw: {}"}
    return ChatTemplate(replace(template.config, **wording), template.words)


def test_a_prompt_is_put_into_the_request_and_the_system_speaks_first(published, template):
    asked = published.ask((ASKED,), draw=True)
    told = (Turn("system", ("You are a helpful assistant.",)), Turn("user", ("Please draw: a red dog in the snow",)))
    assert asked.tokens == template.ask(told, draw=True).tokens


def test_questions_edits_and_a_system_turn_of_ones_own_stay_as_they_are(published, template):
    system = (Turn("system", ("You are a helpful assistant.",)),)
    edit = (Turn("user", (picture(), "make it night")),)
    assert published.ask((ASKED,)).tokens == template.ask((*system, ASKED)).tokens
    assert published.ask(edit, draw=True).tokens == template.ask((*system, *edit), draw=True).tokens
    assert published.ask((SYSTEM, ASKED)).tokens == template.ask((SYSTEM, ASKED)).tokens


def test_the_form_of_published_training_ends_the_turn_before_the_slot(template):
    training = ChatTemplate(replace(template.config, ends_turn=True), template.words)
    inference, control = template.ask((ASKED,), draw=True).tokens, template.words.control
    at = inference.index(control[tok.IMAGE_START])
    between = [control[tok.TURN_END], *template.words.encode("\n")]
    assert training.ask((ASKED,), draw=True).tokens == [*inference[:at], *between, *inference[at:]]
    assert training.encode((ASKED, Turn("assistant", (picture(),)))).tokens == training.ask((ASKED,), draw=True).tokens


def test_an_empty_prompt_is_one_space_without_turns(template):
    control, slot = template.words.control, template.config.slot_length
    ids = [*template.words.encode(" "), control[tok.IMAGE_START], *[control[tok.QUERY]] * slot]
    assert template.nothing().tokens == ids


@pytest.mark.parametrize("sizes", [[(300, 170)], [(40, 33), (90, 500), (64, 64)]], ids=len)
def test_pictures_of_any_shape_are_read_as_the_librarys_processor_reads_them(template, sizes):
    mean, deviation = (0.48, 0.45, 0.40), (0.26, 0.27, 0.28)
    config = replace(template.config, picture_size=None, patch_size=14, temporal_patch_size=2, least_pixels=56 * 56)
    config = replace(config, most_pixels=28 * 28 * 40, mean=mean, deviation=deviation)
    reader = ChatTemplate(config, template.words)
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)) for width, height in sizes]
    library = Qwen2VLImageProcessorPil(
        min_pixels=config.least_pixels, max_pixels=config.most_pixels, image_mean=mean, image_std=deviation
    )(images, return_tensors="pt")
    read = [reader.picture(image) for image in images]
    pixel_values, image_grid_thw = reader.pixel_values(read)
    assert torch.equal(image_grid_thw, library["image_grid_thw"])
    torch.testing.assert_close(pixel_values, library["pixel_values"], rtol=1e-4, atol=1e-5)
    asked = reader.ask((Turn("user", (*read, "what?")),))
    shown = asked.tokens.count(reader.words.control[tok.IMAGE_PAD])
    assert shown == image_grid_thw.prod(1).sum() // 4


def noise(height, width):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize("picture_size", [72, None])
def test_a_picture_keeps_its_original_from_which_every_look_at_it_is_resized_once(template, picture_size):
    config = replace(template.config, picture_size=picture_size, least_pixels=56 * 56, most_pixels=80 * 80)
    reader, image = ChatTemplate(config, template.words), Image.fromarray(noise(170, 300))
    picture = reader.picture(image)
    assert np.array_equal(picture.pixels, np.asarray(image))
    fitted = ImageOps.fit(image, (48, 48), Image.Resampling.BICUBIC)
    assert np.array_equal(square(picture, 48).pixels, np.asarray(fitted))
    assert (
        reader.resized(picture).pixels.shape[:2]
        == config.size_read(picture)
        == ((72, 72) if picture_size else (48, 96))
    )
    assert not np.array_equal(square(reader.resized(picture), 48).pixels, square(picture, 48).pixels)


def test_a_picture_that_stands_in_several_rows_is_resized_once(template, monkeypatch):
    calls, picture = [], template.picture(Image.fromarray(noise(100, 90)))
    monkeypatch.setattr(template, "resized", lambda one: calls.append(one) or square(one, 72))
    pixel_values, _ = template.pixel_values([picture, Picture(picture.pixels), picture])
    assert len(calls) == 2
    assert torch.equal(*pixel_values.view(3, -1)[::2])


def test_known_features_may_be_arrays_or_tensors_but_all_or_none(template):
    shown = picture(255)
    tensor = replace(shown, features=torch.from_numpy(shown.features).to(torch.bfloat16))
    talks = [(Turn("user", (one, "dog")),) if one else (ASKED,) for one in (shown, None, tensor)]
    batch = template.collate([template.ask(talk, draw=True) for talk in talks])
    assert batch.reference.dtype == torch.float32
    assert batch.reference.mean((1, 2, 3)).tolist() == [1, 0, 1]
    with pytest.raises(PromptError, match="encode them all first"):
        features_of([shown, picture(features=False)])


def test_a_picture_too_long_for_its_width_is_refused(template):
    reader = ChatTemplate(replace(template.config, picture_size=None), template.words)
    with pytest.raises(PictureError, match="the picture has 4000 x 10 px: crop it"):
        reader.picture(Image.new("RGB", (4000, 10)))


@pytest.mark.parametrize("request_", ["draw", "{} and {}"])
def test_a_request_without_its_place_is_refused(template, request_):
    with pytest.raises(ConfigError, match=r"expected one \{\} in it"):
        replace(template.config, request=request_)

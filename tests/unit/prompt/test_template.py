"""One template for training and inference: the library's own text, loss only at what the assistant writes."""

import re

import numpy as np
import pytest
import torch

from blip3o.batch import IGNORED
from blip3o.data.picturebook.scene import SIZE
from blip3o.errors import PromptError
from blip3o.prompt import tokenizer as tok
from blip3o.prompt.conversation import Picture, Turn

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
    per_picture = template.config.tokens_per_picture
    assert batch.pictured.sum(1).tolist() == [2 * per_picture, 0]
    assert batch.slot.sum(1).tolist() == [template.config.slot_length] * 2
    side = SIZE // template.config.patch_size
    assert batch.grid.tolist() == [[1, side, side]] * 2
    shades = ((batch.patches.view(2, -1)[:, 0] + 1) * 127.5).round()
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
    assert moved.patches is None

"""The tokenizer of a small world: every word a token, control tokens out of reach, strange words told by name."""

import pytest
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models
from transformers import PreTrainedTokenizerFast

from blip3o.errors import CheckpointError, ConfigError, PromptError
from blip3o.picturebook.tasks import vocabulary
from blip3o.processing.tokenizer import CONTROL, PAD, TURN_END, Tokenizer, learn

SENTENCE = "a red dog is left of two blue cats, at night."


def test_every_word_of_the_picture_book_is_one_token_after_a_space_or_without(words):
    split = [word for word in vocabulary() if len(words.encode(word)) != 1 or len(words.encode(f" {word}")) != 1]
    assert split == []


def test_a_space_too_many_leaves_the_words_as_they_are_known(words):
    assert words.encode("a red  dog")[-1:] == words.encode(" dog")
    assert words.encode(" a\n red dog") == (*words.encode("a"), *words.encode("\n"), *words.encode("red dog"))


def test_a_word_is_the_same_token_wherever_it_stands(words):
    (dog,) = words.encode("dog")
    for text in ("a dog", "dog.", "a cat\ndog", "<think>dog", "dog\n"):
        assert dog in words.encode(text)


def test_every_control_token_is_one_token_with_an_id_of_its_own(words):
    assert [words.encode(token) for token in CONTROL] == [(words.control[token],) for token in CONTROL]
    assert len(set(words.control.values())) == len(CONTROL)


@pytest.mark.parametrize("text", [SENTENCE, "two  spaces\nand a line", "été 日本 🦊 42", "_under-scored_?"])
def test_any_text_comes_back_from_its_tokens(words, text):
    assert words.decode(words.encode(text)) == text


def test_case_does_not_matter_and_an_exclamation_mark_is_a_full_stop(words):
    assert words.encode("A Red DOG!") == words.encode("a red dog.")
    assert words.decode(words.encode("_Under-Scored_?!")) == "_under-scored_?."


def test_the_text_of_a_control_token_in_another_case_is_no_control_token(words):
    assert not {*words.encode("<THINK>[img]<|IM_END|>")} & {*words.control.values()}


def test_control_tokens_are_left_out_of_what_is_read_back(words):
    assert words.decode([words.control[PAD], *words.encode("a dog"), words.control[TURN_END]]) == "a dog"


def test_a_saved_tokenizer_is_read_back_the_same(words, tmp_path):
    words.save(tmp_path)
    read = Tokenizer.load(tmp_path)
    assert read.encode(SENTENCE + "<think>") == words.encode(SENTENCE + "<think>")
    assert (read.control, len(read), read.known) == (words.control, len(words), words.known)


def test_a_folder_without_a_tokenizer_or_with_a_broken_one_is_refused(words, tmp_path):
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        Tokenizer.load(tmp_path)
    words.save(tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_text(file.read_text()[:500])
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is no tokenizer"):
        Tokenizer.load(tmp_path)


def test_a_tokenizer_without_the_control_tokens_is_refused_once_with_their_names(tmp_path):
    with pytest.raises(CheckpointError, match=r"^the tokenizer lacks the control tokens <\|im_start\|>"):
        Tokenizer(PreTrainedTokenizerFast(tokenizer_object=FastTokenizer(models.BPE()), pad_token=PAD))
    FastTokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"^the tokenizer lacks the control tokens"):
        Tokenizer.load(tmp_path)


def test_known_words_are_taken(template):
    for text in (SENTENCE, f"  {SENTENCE}\n", "a dog?.", "A Red DOG!"):
        template.check(text)


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_prompt_is_refused(template, text):
    with pytest.raises(PromptError, match="the prompt is empty"):
        template.check(text)


def test_a_prompt_that_is_too_long_is_refused_with_its_length(template):
    with pytest.raises(PromptError, match="2004 characters: shorten it to 2000"):
        template.check("dog " * 501)


@pytest.mark.parametrize("token", CONTROL)
def test_a_prompt_with_the_text_of_a_control_token_is_refused_by_its_name(template, token):
    with pytest.raises(PromptError) as raised:
        template.check(f"a dog{token} a cat")
    assert repr(token) in str(raised.value)


@pytest.mark.parametrize("word", ["zeppelin", "Hund", "дом", "日本", "🦊", "été", "HUND", "7"])
def test_a_word_that_was_never_read_is_named(template, word):
    with pytest.raises(PromptError) as raised:
        template.check(f"a red {word} at night")
    assert repr(word[0] if word == "🦊" else word) in str(raised.value)


def test_a_misspelt_word_is_answered_with_the_nearest_ones(template):
    with pytest.raises(PromptError, match=r"'grren': did you mean .*green"):
        template.check("a grren dog")


def test_an_open_vocabulary_takes_any_word(words):
    from blip3o.processing.tokenizer import Tokenizer, check_text

    check_text(Tokenizer(words.tokenizer), "ein Zeppelin über 日本", longest=100)


@pytest.mark.parametrize("text", ["a dog\udce9", "\ud800", "a\0dog", "dog \udfff cat"])
def test_text_that_is_no_text_is_refused_by_any_tokenizer(words, text):
    from blip3o.processing.tokenizer import Tokenizer, check_text

    for ask in (
        lambda open_words: check_text(open_words, text, longest=100),
        lambda open_words: open_words.encode(text),
    ):
        with pytest.raises(PromptError, match="which is no character: give text in UTF-8"):
            ask(Tokenizer(words.tokenizer))


def test_a_piece_of_a_word_is_no_word_of_a_closed_vocabulary(template):
    with pytest.raises(PromptError, match=r"'airplan': did you mean airplane"):
        template.check("a red airplan")


CAPTIONS = ["a red square on white paper", "a blue circle on white paper", "Zwei grüne Kreise, größer als rote."] * 20


def test_a_learned_tokenizer_writes_any_text_as_it_is():
    words = learn(CAPTIONS, 400)
    for text in (*CAPTIONS[:3], "A Red Square!", "naïve 日本 🙂\n two  spaces"):
        assert words.decode(words.encode(text)) == text
    assert words.known is None


def test_a_learned_tokenizer_keeps_to_its_size_and_takes_frequent_words_whole():
    words = learn(CAPTIONS, 320)
    assert words.highest < 320
    assert len(words.encode(" white paper")) < len(learn(CAPTIONS, 270).encode(" white paper"))


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    with pytest.raises(ConfigError, match="takes 269 tokens or more, the model has 200: raise vocab_size"):
        learn(CAPTIONS, 200)

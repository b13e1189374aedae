"""The tokenizer: byte-level BPE with the control tokens of Qwen2.5 and BLIP3-o, from a file or made for few words."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as FastTokenizer

from blip3o.errors import CheckpointError, ConfigError, OutputError, PromptError
from blip3o.files import write_text
from blip3o.processing.suggestions import suggestions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast
else:  # opened when a tokenizer is made
    PreTrainedTokenizerFast = object

PAD, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE_PAD = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"
IMAGE_START, IMAGE_END, QUERY = "[IMG]", "[/IMG]", "<image>"
"""IMAGE_START is what the model writes when it decides to draw; QUERY holds the places of the slot."""
THINK_START, THINK_END = "<think>", "</think>"
CONTROL = (
    *(PAD, TURN_START, TURN_END, VISION_START, VISION_END, "<|vision_pad|>", IMAGE_PAD, "<|video_pad|>"),
    *(IMAGE_START, IMAGE_END, QUERY, THINK_START, THINK_END),
)
"""All control tokens; a user's text may hold none of them."""
OPTIONAL = ("<|vision_pad|>", THINK_START, THINK_END)
"""Those that a published tokenizer may lack."""

CHAT_TEMPLATE = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{{ turn['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# Qwen2.5 splits text into words by this rule before merging bytes (simplified: letters, one digit, marks, spaces of
# which the last belongs to the word after them).
_WORDS = r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPACED = (
    normalizers.Prepend(" "),
    normalizers.Replace("\n", "\n "),
    normalizers.Replace(Regex(r" +\n"), "\n"),
    normalizers.Replace(Regex(r"^ {2,}"), " "),
    normalizers.Replace(Regex(r"\n \z"), "\n"),
)
"""One space before the first word of every line."""
_UNSPACED = (decoders.Replace("\n ", "\n"), decoders.Strip(" ", 1, 0))


KNOWN = "words.txt"
"""Beside tokenizer.json where the vocabulary is closed: its words, one a line."""


class Tokenizer:
    """Text <-> token ids, and the ids of the control tokens.

    `known` lists the words of a closed vocabulary, the only ones the model was taught; None where any word will do.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, known: Iterable[str] | None = None) -> None:
        vocabulary = tokenizer.get_added_vocab()  # what is no control token there is one of the words
        lost = [token for token in CONTROL if token not in vocabulary and token not in OPTIONAL]
        if lost:
            raise CheckpointError(
                f"the tokenizer lacks the control tokens {', '.join(lost)}: use the model's own tokenizer"
            )
        self.tokenizer = tokenizer
        self.known = None if known is None else tuple(sorted(set(known)))
        self.control: dict[str, int] = {token: vocabulary[token] for token in CONTROL if token in vocabulary}
        self.encode = lru_cache(maxsize=100_000)(self._encode)

    def __len__(self) -> int:
        return len(self.tokenizer)

    @property
    def highest(self) -> int:
        """The highest token id; ids may have gaps."""
        return max(self.tokenizer.get_vocab().values())

    def _encode(self, text: str) -> tuple[int, ...]:
        check_characters(text)
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def normal(self, text: str) -> str:
        """The text as the tokenizer takes it, blind to case for example; a space it puts first is left out."""
        normalizer = self.tokenizer.backend_tokenizer.normalizer
        return text if normalizer is None else normalizer.normalize_str(text).removeprefix(" ")

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, control tokens left out."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        assert isinstance(text, str)
        return text

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """The words of texts that a closed vocabulary lacks, each once, in the order in which they come; none where any
        word will do."""
        if self.known is None:
            return []
        known, normal = {*self.known}, {self.normal(word): None for text in texts for word in _WORD.findall(text)}
        return [word for word in normal if word not in known]

    def extended(self, words: Sequence[str]) -> "Tokenizer":
        """A tokenizer that knows these words, too, each as the token after its highest; those it knows stay."""
        assert self.known is not None, "where any word will do, none is added"
        tokenizer = FastTokenizer.from_str(self.tokenizer.backend_tokenizer.to_str())
        new = [word for word in words if word not in self.known]
        # with the space before it, which the words of `make` hold, too; it stands behind a word, so it is no single one
        tokenizer.add_tokens([AddedToken(f" {word}", normalized=True) for word in new])
        return Tokenizer(_wrap(tokenizer), (*self.known, *new))

    def tokens_of(self, folder: Path) -> list[int]:
        """Those of its ids that another tokenizer has, too, for the same."""
        theirs = _read(folder).get_vocab()
        return [number for token, number in self.tokenizer.get_vocab().items() if theirs.get(token) == number]

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files. Raises OutputError where they cannot be written."""
        try:
            self.tokenizer.save_pretrained(str(folder))
        except Exception as error:  # the library raises nothing narrower
            raise OutputError(f"cannot write the vocabulary to {folder} ({error}): make room, then go on") from error
        if self.known is not None:
            write_text(folder / KNOWN, "\n".join(self.known) + "\n")
        else:
            (folder / KNOWN).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Read the tokenizer's files. Raises CheckpointError where they are missing or broken."""
        read = _read(folder)
        known = folder / KNOWN
        try:
            return cls(_wrap(read), known.read_text(encoding="utf-8").split() if known.is_file() else None)
        except (OSError, UnicodeError) as error:
            raise CheckpointError(f"{known} is no list of words ({error}): copy it again from its source") from error


def _wrap(tokenizer: FastTokenizer) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=TURN_END)
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def make(words: Iterable[str]) -> Tokenizer:
    """A closed vocabulary: each of these words is one token, the same after a space and at the start of a line; any
    other text is bytes.

    Case does not matter to it, nor does one space at the start of a line, and "!" is a full stop.
    """
    tokenizer = FastTokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("!", "."), *_SPACED])
    split = pre_tokenizers.Split(Regex(_WORDS), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), *_UNSPACED])
    trainer = trainers.BpeTrainer(
        vocab_size=100_000,
        min_frequency=1,
        special_tokens=list(CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    known = sorted(set(words))
    listed = sorted({*known, "system", "user", "assistant"})
    tokenizer.train_from_iterator(listed, trainer)
    return Tokenizer(_wrap(tokenizer), known)


def learn(texts: Iterable[str], size: int) -> Tokenizer:
    """An open vocabulary of at most `size` tokens: byte-level BPE learned from texts, in which any text can be
    written. Raises ConfigError where `size` has no room for the bytes and the control tokens."""
    least = len(CONTROL) + len(pre_tokenizers.ByteLevel.alphabet())
    if size < least:
        raise ConfigError(f"a tokenizer takes {least} tokens or more, the model has {size}: raise vocab_size")
    tokenizer = FastTokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_WORDS), "isolated")
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return Tokenizer(_wrap(tokenizer))


def adopt(folder: Path) -> Tokenizer:
    """Somebody's tokenizer, with the control tokens that it lacks but for those that are `OPTIONAL`. Raises
    CheckpointError where there is none."""
    read = _read(folder)
    listed = {token.content for token in read.get_added_tokens_decoder().values()}
    read.add_special_tokens([token for token in CONTROL if token not in {*listed, *OPTIONAL}])
    return Tokenizer(_wrap(read))


def _read(folder: Path) -> FastTokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no tokenizer.json: name the folder of a whole checkpoint")
    try:
        return FastTokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{path} is no tokenizer ({error}): copy it again from its source") from error


_WORD = re.compile(r"[^\W\d_]+|\d+|[^\s\w]|_")
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
"""NUL, and halves of characters: what bytes that are no UTF-8 come as."""


def check_characters(text: object) -> None:
    """Raise PromptError for what is no text, or cannot be written as UTF-8."""
    if not isinstance(text, str):
        raise PromptError(f"a prompt is {text!r}, expected words")
    if wrong := _NO_CHARACTER.search(text):
        raise PromptError(f"the prompt holds {wrong[0]!r}, which is no character: give text in UTF-8")


def check_text(words: Tokenizer, text: str, *, longest: int) -> None:
    """Raise PromptError for a text this model cannot be asked: empty, too long, with control tokens, of unknown words.

    `longest` is in characters.
    """
    check_characters(text)
    if not text.strip():
        raise PromptError("the prompt is empty: say what you want to see or know")
    if len(text) > longest:
        raise PromptError(f"the prompt has {len(text)} characters: shorten it to {longest}")
    check_control(text)
    if words.known is not None:
        strange = [word for word in _WORD.findall(text) if words.normal(word) not in words.known]
        if strange:
            raise PromptError(_strange(words.known, strange))


def check_control(text: str) -> None:
    """Raise PromptError for a text that no turn may hold, whoever says it: it would be read as control tokens."""
    check_characters(text)
    held = [token for token in CONTROL if token in text]
    if held:
        raise PromptError(f"the prompt holds {held[0]!r}, a control token of the model: remove it")


def _strange(known: Sequence[str], strange: list[str]) -> str:
    meant = {word: suggestions(word, known) for word in dict.fromkeys(strange[:5])}
    near = {word: words for word, words in meant.items() if words}
    advice = "`blip3o info` lists the words it knows"
    if near and len(meant) == 1:
        advice = f"did you mean {' or '.join(near[strange[0]])}?"
    elif near:
        advice = f"did you mean {', '.join(f'{words[0]} for {word}' for word, words in near.items())}?"
        advice += "" if len(near) == len(meant) else " (`blip3o info` lists the words it knows)"
    return f"this model has never read {', '.join(map(repr, meant))}: {advice}"

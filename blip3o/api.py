"""BLIP3o: one model that reads pictures, draws, edits and talks.

from blip3o import BLIP3o

model = BLIP3o.load()
model.generate("a photo of a red dog")[0].save("dog.png")
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, Unpack

import numpy as np
import torch
from PIL import Image

from blip3o.config import BOUNDS, from_dict, number, to_dict, whole
from blip3o.errors import CheckpointError, ConfigError, PictureError, PromptError
from blip3o.pipeline import generation
from blip3o.pipeline.engine import Engine
from blip3o.pipeline.generation import Progress, Reply, seeds_of
from blip3o.pipeline.pipeline import Pipeline
from blip3o.pipeline.sampling import SamplingConfig, SamplingOptions
from blip3o.pipeline.self_check import check_edit
from blip3o.processing.conversation import DESCRIBE, DESCRIBE_IN_DETAIL, WHAT_IS_THIS, Conversation, Turn
from blip3o.processing.images import Picturelike, check_files, read_picture, to_image
from blip3o.weights import checkpoint, hub, outline
from blip3o.weights.adapters import about_with, apply_adapters, named_adapters
from blip3o.weights.folders import Part
from blip3o.weights.placement.device import DevicePlacement, find_device, find_dtype

Pictures = Picturelike | Sequence[Picturelike]
OnImage = Callable[[int, Image.Image], None]
"""(number of a picture, the picture)"""
TurnContent = tuple[Sequence[Picturelike], str]
"""Images that are not read yet, and what is said about them."""
BatchItem = TypeVar("BatchItem")


class BLIP3o:
    """A loaded model. Images go in as `PIL.Image`, arrays of uint8, bytes or files, and come out as `PIL.Image`; all
    methods take one item or many.

    At most `batch_size` items are worked on at a time: those that are done make room for the next, and an image is
    opened when its turn comes. `progress` hears of each that is done. `seed` is one number, of which item k (from 0)
    gets `seed + k`, or one for each item; an image depends on its prompt and its seed alone, not on the batch it is
    made in. Raises ConfigError for numbers out of their `BOUNDS`, PictureError for what is no picture, and for none at
    all.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        about: Mapping[str, object] | None = None,
        *,
        compatible: bool = False,
        placement: DevicePlacement | None = None,
    ) -> None:
        self.pipeline = pipeline.eval()
        self.sampling = replace(pipeline.config.sampling, compatible=compatible)
        self.about = dict(about or {})
        self.placement = placement or DevicePlacement(device=pipeline.device)
        self.name = pipeline.config.name

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = "picturebook",
        *,
        device: str = "auto",
        dtype: str = "auto",
        needs: Collection[Part] | None = None,
        encoder: str | Path | None = None,
        decoder: str | Path | None = None,
        compatible: bool = False,
        memory: str = "full",
        quantize: str | None = None,
        compile: bool = False,
        verify: bool = True,
        adapters: Sequence[str | Path] = (),
        merge: bool = True,
    ) -> "BLIP3o":
        """Load a shipped model by its name, a checkpoint by its folder, or a model of the Hub by its id.

        `device` is "cpu", "cuda", "mps" or "auto". `dtype` is "float32", "bfloat16", "float16" or "auto" (the first on
        a CPU and for a small model, else the second). With `memory` "balanced" only one part of the model is on the
        device at a time, with "low" only one layer; the rest is read from its files when it is needed, at a cost in
        time. `quantize` rounds the matrices of its blocks to 8 or 4 bits ("int8", "nf4"; the extra `quantize`).
        `compile` makes the networks of drawing faster, after minutes at the first picture of a size. Files that changed
        since they were saved, and weights that are mostly 0, are refused unless `verify` is False. `adapters` are
        folders that training wrote, with a share where that is not 1 (`"runs/adapter/adapter:0.5"`), which are added to
        the weights or, where not to `merge`, work beside them, slower.

        For published models alone: the parts that it `needs` beyond reading and thinking ("encoder", "decoder"; None
        takes those that are there), and the folders that they lie in where that is not the model's own; `compatible`
        draws from the random numbers of the published code. Raises CheckpointError, and ConfigError for what would have
        no effect.
        """
        place = find_device(device)
        deferred = hub.open_model(
            name_or_path,
            needs=needs,
            encoder=None if encoder is None else Path(encoder),
            decoder=None if decoder is None else Path(decoder),
            verify=verify,
        )
        numbers = find_dtype(dtype, place, sum(deferred.pipeline.sizes.values()))
        placement = DevicePlacement(device=place, dtype=numbers, memory=memory, quantize=quantize)
        if compatible and not deferred.pipeline.space.decoder.guided:
            raise ConfigError(f"compatible has no effect on {deferred.pipeline.config.name}: leave it out")
        opened = named_adapters(adapters, placement, merge=merge)
        pipeline = deferred.load(placement)
        apply_adapters(pipeline, opened, merged=merge)
        if compile:
            pipeline.compile()
        return cls(pipeline, about_with(deferred.about, opened), compatible=compatible, placement=placement)

    from_pretrained = load

    # --- drawing ----------------------------------------------------------------------------------------------------

    def generate(
        self,
        prompts: str | Sequence[str],
        *,
        seed: int | Sequence[int] = 0,
        think: bool | None = None,
        batch_size: int = 16,
        progress: Progress | None = None,
        on_image: OnImage | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[Image.Image]:
        """Draw each prompt; with `think`, the model reasons in words first (`image.info["reasoning"]`); None leaves
        that to its own config (`reasoning.always`).

        `sampling` changes how it is drawn: any fields of `SamplingOptions`. `on_image` is called with the number of
        each image and the image as soon as it and those before it are drawn. Raises PromptError for a prompt that the
        model cannot be asked.
        """
        conversations = [(Turn("user", (prompt,)),) for prompt in self._texts(prompts)]
        seeds, options = seeds_of(seed, len(conversations)), self.sampling_of(sampling)
        engine = self._engine(batch_size, options)
        tasks = map(partial(generation.draw, engine, sampling=options, think=think), conversations, seeds)
        return generation.collect(engine, tasks, len(seeds), progress, on_image)

    def edit(
        self,
        images: Pictures | Sequence[Pictures],
        instructions: str | Sequence[str],
        *,
        seed: int | Sequence[int] = 0,
        think: bool | None = None,
        batch_size: int = 16,
        progress: Progress | None = None,
        on_image: OnImage | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[Image.Image]:
        """Change each image as its instruction says; one instruction may serve all images.

        In place of an image there may be several that one instruction is about. `think`, `on_image` and `sampling` as
        for `generate`.
        """
        contents = self._contents(images, instructions)
        check_edit(self.pipeline, sampling.get("best_of"), think)
        seeds, options = seeds_of(seed, len(contents)), self.sampling_of(sampling)
        engine = self._engine(batch_size, options)
        task = partial(generation.draw, engine, sampling=options, think=think)
        tasks = map(task, map(self._opened, contents), seeds)
        return generation.collect(engine, tasks, len(seeds), progress, on_image)

    def reconstruct(
        self, images: Pictures, *, seed: int | Sequence[int] = 0, steps: int | None = None, batch_size: int = 16
    ) -> list[Image.Image]:
        """What the image space keeps of each image: encoded to features and painted back; `steps` of the decoder."""
        images = _listed(images)
        sampling = self.sampling_of({"decoder_steps": steps})
        seeded = zip(map(read_picture, images), seeds_of(seed, len(images)), strict=True)
        decoded: list[Image.Image] = []
        with torch.inference_mode():
            for batch in _batches(seeded, batch_size):
                pictures, seeds = zip(*batch, strict=True)
                decoded += [to_image(row) for row in self.pipeline.reconstruct(pictures, seeds, sampling)]
        return decoded

    # --- reading ----------------------------------------------------------------------------------------------------

    def understand(
        self,
        images: Pictures | Sequence[Pictures],
        questions: str | Sequence[str] | None = None,
        *,
        max_tokens: int = 64,
        batch_size: int = 16,
        progress: Progress | None = None,
    ) -> list[str]:
        """Answer a question about each image; one question may serve all images, None asks for a caption.

        In place of an image there may be several, or none, which one question is about.
        """
        contents = self._contents(images, DESCRIBE if questions is None else questions)
        engine, most = self._engine(batch_size), whole("max_tokens", max_tokens)
        tasks = (generation.answer(engine, self._opened(content), max_tokens=most) for content in contents)
        return generation.collect(engine, tasks, len(contents), progress)

    def stream(self, images: Pictures, question: str, *, max_tokens: int = 256) -> Iterator[str]:
        """Answer one question about one image, or about several together, piece by piece as the answer is written."""
        (content,) = self._contents([_listed(images)], question)
        most = whole("max_tokens", max_tokens)
        return generation.stream(self._engine(1), self._opened(content), max_tokens=most)

    def caption(self, images: Pictures, *, long: bool = False, batch_size: int = 16) -> list[str]:
        """Describe each image, in one phrase or (`long`) with the place of every object."""
        return self.understand(images, DESCRIBE_IN_DETAIL if long else DESCRIBE, batch_size=batch_size)

    def classify(self, images: Pictures, labels: Sequence[str], *, batch_size: int = 16) -> list[dict[str, float]]:
        """Probability of each label (any words) for each image, by how likely the model finds it as an answer.

        They sum to 1 for an image, the likeliest label first. Raises PromptError for a label given twice."""
        if not labels or isinstance(labels, str) or not all(str(label).strip() for label in labels):
            raise PromptError(f"labels is {labels!r}: list the words for what the picture may show")
        labels = self._texts(labels)
        normal = self.pipeline.template.words.normal
        if len({normal(label).strip() for label in labels}) < len(labels):
            raise PromptError(f"labels repeats itself in {', '.join(labels)}: name each label once")
        images, template = _listed(images), self.pipeline.template
        samples = (
            template.encode((Turn("user", (picture, WHAT_IS_THIS)), Turn("assistant", (label,))))
            for picture in map(template.picture, images)
            for label in labels
        )
        scores: list[float] = []
        with torch.inference_mode():
            for batch in _batches(samples, 4 * whole("batch_size", batch_size)):
                scores += self.pipeline.unified.score(template.collate(batch).to(self.device)).tolist()
        shares = torch.tensor(scores).view(len(images), len(labels)).softmax(-1).tolist()
        return [dict(sorted(zip(labels, row, strict=True), key=lambda pair: -pair[1])) for row in shares]

    def features(self, images: Pictures, *, batch_size: int = 64) -> np.ndarray:
        """Features of each image in the target space, float32 [images, channel * rows * columns]."""
        pictures = map(read_picture, _listed(images))
        with torch.inference_mode():
            features = [self.pipeline.features(batch).flatten(1).cpu() for batch in _batches(pictures, batch_size)]
        return torch.cat(features).numpy()

    # --- talking ----------------------------------------------------------------------------------------------------

    def chat(self, *, seed: int = 0, think: bool | None = None) -> "Chat":
        """A dialogue in which the model itself decides when to draw; its turn k (from 0) gets `seed + k`."""
        return Chat(self, seed=seed, think=think)

    def reply(
        self,
        conversations: Sequence[Conversation],
        *,
        seed: int | Sequence[int] = 0,
        think: bool | None = None,
        max_tokens: int = 96,
        batch_size: int = 16,
        progress: Progress | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[Reply]:
        """The assistant's next turn in each conversation; it draws where the model writes the image-start token."""
        for turn in (turn for talk in conversations for turn in talk if turn.role == "user"):
            for text in (part for part in turn.content if isinstance(part, str)):
                self.pipeline.template.check(text)
        seeds, options = seeds_of(seed, len(conversations)), self.sampling_of(sampling)
        most = whole("max_tokens", max_tokens)
        engine = self._engine(batch_size, options)
        begin = partial(generation.reply, engine, sampling=options, think=think, max_tokens=most)
        return generation.collect(engine, map(begin, conversations, seeds), len(seeds), progress)

    def info(self) -> dict[str, Any]:
        """Name, version, where the weights come from, how it draws, and what it is made of."""
        config, words = to_dict(self.pipeline.config), self.pipeline.template.words.known
        return outline.facts(config, self.about, self.sampling, self.pipeline.sizes, words)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the model, its tensors in their own dtype, and a model card.

        Raises OutputError, and CheckpointError for a model whose tensors are not all there, or rounded.
        """
        path = Path(folder)
        if self.placement.memory != "full" or self.placement.quantize is not None:
            raise CheckpointError("only a whole model is saved: load it with memory full and without quantize")
        checkpoint.save(self.pipeline, path, about=self.about, dtype=None)
        checkpoint.write_card(self.pipeline, path)
        return path

    def push_to_hub(self, repository: str, *, private: bool = True) -> str:
        """Write the model and its card to the Hugging Face Hub (owner/name); gives its address there."""
        with TemporaryDirectory() as temporary:
            return hub.push(self.save_pretrained(temporary), repository, private=private)

    @property
    def device(self) -> torch.device:
        """Where the model's tensors are."""
        return self.pipeline.device

    # --- inside -----------------------------------------------------------------------------------------------------

    def _engine(self, batch_size: int, sampling: SamplingConfig | None = None) -> Engine:
        """One for each call: nothing of a call is left in the model. Published code draws one image after the other;
        candidates are images of a batch, too."""
        capacity = whole("batch_size", batch_size)
        if sampling is not None:
            capacity = 1 if sampling.compatible else max(1, capacity // sampling.best_of)
        return Engine(self.pipeline, capacity=capacity)

    def _texts(self, texts: str | Sequence[str]) -> list[str]:
        """The texts one by one. Raises PromptError for one that the model cannot be asked."""
        if not isinstance(texts, Sequence):
            raise PromptError(f"what is asked is {texts!r}, expected words")
        prompts = [texts] if isinstance(texts, str) else list(texts)
        for prompt in prompts:
            self.pipeline.template.check(prompt)
        return prompts

    def _contents(self, images: Pictures | Sequence[Pictures], texts: str | Sequence[str]) -> list[TurnContent]:
        """What each turn shows and says. Raises PromptError for another number of texts, and for one that cannot be
        asked."""
        groups = [list(one) if _is_list(one) else [one] for one in _listed(images)]
        prompts = self._texts(texts) * (len(groups) if isinstance(texts, str) else 1)
        if len(prompts) != len(groups):
            raise PromptError(f"{len(groups)} images but {len(prompts)} texts: give one text, or one for each image")
        check_files(image for group in groups for image in group)  # before any is worked on: each is read at its turn
        return list(zip(groups, prompts, strict=True))

    def _opened(self, content: TurnContent) -> Conversation:
        """A turn of the user with its images read."""
        images, text = content
        return (Turn("user", (*map(self.pipeline.template.picture, images), text)),)

    def sampling_of(self, given: SamplingOptions) -> SamplingConfig:
        """The model's own sampling, but for what is given and not None.

        Raises ConfigError for what is no option, has no effect on this model, or is out of bounds.
        """
        chosen = {key: value for key, value in given.items() if value is not None}
        decoder = self.pipeline.space.decoder
        heeded = {*self.pipeline.unified.head.options, *(["decoder_steps"] if decoder.takes_steps else [])}
        heeded |= {"size", "best_of"}
        for key in chosen:
            if key not in SamplingOptions.__annotations__:
                raise ConfigError(f"no option {key}: choose from {', '.join(SamplingOptions.__annotations__)}")
            if key not in heeded:
                raise ConfigError(f"{key} has no effect on {self.name}: leave it out")
        chosen = {key: number(key, value) if key in BOUNDS else value for key, value in chosen.items()}
        if "size" in chosen:
            decoder.output_size(int(chosen["size"]))
        return from_dict(SamplingConfig, asdict(self.sampling) | chosen)


class Chat:
    """A dialogue that keeps the words and pictures of its earlier turns."""

    def __init__(self, model: BLIP3o, *, seed: int = 0, think: bool | None = None) -> None:
        self.model = model
        self.seed = whole("seed", seed)
        self.think = think
        self.turns: list[Turn] = []

    def send(self, text: str, image: Picturelike | None = None) -> Reply:
        """Say something, with a picture or without, and get the model's reply."""
        template = self.model.pipeline.template
        template.check(text)
        shown = () if image is None else (template.picture(image),)
        turn = Turn("user", (*shown, text))
        seed = (self.seed + len(self.turns) // 2) % (int(BOUNDS["seed"][1]) + 1)
        reply = self.model.reply([(*self.turns, turn)], seed=seed, think=self.think)[0]
        drawn = () if reply.image is None else (template.picture(reply.image),)
        self.turns += [turn, Turn("assistant", (reply.text, *drawn) if reply.text or not drawn else drawn)]
        return reply


def _batches(items: Iterable[BatchItem], batch_size: int) -> Iterator[list[BatchItem]]:
    """As many items at a time, taken when it is their turn. Raises ConfigError for a batch_size out of bounds."""
    coming, count = iter(items), whole("batch_size", batch_size)
    while batch := list(islice(coming, count)):
        yield batch


def _is_list(images: object) -> bool:
    """Whether these are several, or none."""
    return isinstance(images, Sequence) and not isinstance(images, str | bytes | bytearray | memoryview)


def _listed(images: Any) -> list[Any]:
    """The images one by one. Raises PictureError where there is none."""
    given = list(images) if _is_list(images) else [images]
    if not given:
        raise PictureError("there is no picture in the list: give one or more")
    return given

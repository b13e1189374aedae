"""The judge of drawn emoji: a network that knows every real picture, and says which of them another one is nearest to.

It is trained apart, on the vector pictures drawn anew at many sizes and spoiled a little, so that a network's drawings
are judged fairly. It sees no picture of any model, and trains, filters or steers none.

It tells two things of a picture. Its *embedding* says the concept: the two styles of a concept are drawn to one
direction (softmax over cosines; Wang et al., CosFace, arXiv 1801.09414, without the margin). The style is a choice
between two. A drawn picture is looked for among the real pictures of the style that was asked for.

    python -m examples.emoji.judge data/emoji          # trains, measures and writes data/emoji/judge.safetensors
"""

import argparse
import io
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.errors import DataError
from blip3o.weights.checkpoint import read_tensors, write_tensors
from examples.emoji.collection import STYLES, Emoji, held_out, read_emoji, render

SIZE = 64
"""Pixels that the network sees."""
SHARPNESS = 24.0
"""Of the softmax over cosines."""
LEAST_RECALL = 0.98
"""What the judge must reach on real pictures drawn anew before it may judge drawn ones."""
WEIGHTS = "judge.safetensors"


class JudgeNetwork(nn.Module):
    """About 1 M parameters."""

    def __init__(self, concepts: int, widths: tuple[int, ...] = (32, 64, 128, 224), dimensions: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for depth, width in enumerate(widths):
            layers.append(_convolution(before, width, 2))
            layers += [_Residual(width)] if depth else []
            before = width
        self.trunk = nn.Sequential(*layers)
        side = SIZE // 2 ** len(widths)
        self.embedding = nn.Sequential(nn.Conv2d(before, 48, 1), nn.Flatten(), nn.Linear(48 * side**2, dimensions))
        self.concepts = nn.Parameter(F.normalize(torch.randn(concepts, dimensions), dim=1))
        self.styles = nn.Linear(before, len(STYLES))

    def forward(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch dimension"], Float[Tensor, "batch style"]]:
        """Embeddings of length 1, and logits of the styles. Pixels are -1..1."""
        maps = self.trunk(pixels)
        return F.normalize(self.embedding(maps).float(), dim=1), self.styles(maps.mean((2, 3))).float()


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_convolution(width, width), _convolution(width, width))

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        return x + self.layers(x)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What the judge says of one picture that was to be a cell."""

    style: str
    rank: int
    """Of the cell's real picture among those of the asked style, from 1: the nearest."""
    nearest: str
    """The concept of the real picture of the asked style that is nearest."""


class EmojiJudge:
    """A trained network and the real pictures without skin tones, two of each concept."""

    def __init__(
        self,
        network: JudgeNetwork,
        concepts: Sequence[str],
        real: Float[np.ndarray, "style concept dim"],
        scores: Mapping[str, Any] | None = None,
    ) -> None:
        self.scores = dict(scores or {})
        """What it reached in its exam (`examine`), of all real pictures and of the held-out ones."""
        self.network, self.concepts, self.real = network.eval(), list(concepts), real
        self.index_of = {concept: index for index, concept in enumerate(self.concepts)}

    @classmethod
    def load(cls, folder: Path) -> "EmojiJudge":
        """The judge that was trained in a data folder. Raises DataError where there is none."""
        if not (folder / WEIGHTS).is_file():
            raise DataError(f"{folder} has no {WEIGHTS}: train the judge with python -m examples.emoji.judge {folder}")
        tensors, about = read_tensors(folder / WEIGHTS)
        concepts = json.loads(str(about["concepts"]))
        real = tensors.pop("real").float().numpy()
        network = JudgeNetwork(len(concepts))
        network.load_state_dict(tensors)
        return cls(network, concepts, real, json.loads(str(about["scores"])))

    @torch.inference_mode()
    def embed(self, images: Sequence[Image.Image]) -> tuple[Float[np.ndarray, "images dim"], list[str]]:
        """Embeddings, and the names of the styles."""
        if not images:
            return np.zeros((0, self.real.shape[-1]), np.float32), []
        embeddings, styles = zip(
            *(self.network(to_input(images[start : start + 256])) for start in range(0, len(images), 256)), strict=True
        )
        return torch.cat(embeddings).numpy(), [STYLES[index] for index in torch.cat(styles).argmax(1).tolist()]

    def look(self, images: Sequence[Image.Image], cells: Sequence[tuple[str, str]]) -> list[Sighting]:
        """Each picture beside the cell (concept, style) that it was to be."""
        embeddings, styles = self.embed(images)
        sightings = []
        for embedding, seen, (concept, style) in zip(embeddings, styles, cells, strict=True):
            likeness = self.real[STYLES.index(style)] @ embedding
            rank = 1 + int((likeness > likeness[self.index_of[concept]]).sum())
            sightings.append(Sighting(style=seen, rank=rank, nearest=self.concepts[int(likeness.argmax())]))
        return sightings


def to_input(images: Sequence[Image.Image]) -> Float[Tensor, "images 3 height width"]:
    """Pictures as the network sees them."""
    resized = [image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC) for image in images]
    pixels = np.stack([np.asarray(image) for image in resized])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def redrawn(svg: str, rng: random.Random, size: int = 72) -> Image.Image:
    """A real picture drawn anew, as the judge's exam shows it: at another resolution (40 to 128 px), up to 3 px away
    from its place, and through JPEG of quality 80."""
    there, right, down = rng.choice((40, 48, 56, 100, 128)), rng.randint(-3, 3), rng.randint(-3, 3)
    page = Image.new("RGB", (size, size), "white")
    page.paste(render(svg, there).resize((size, size), Image.Resampling.BICUBIC), (right, down))
    file = io.BytesIO()
    page.save(file, "JPEG", quality=80)
    return Image.open(file).convert("RGB")


def spoiled(
    pixels: Float[Tensor, "batch 3 height width"], rng: torch.Generator
) -> Float[Tensor, "batch 3 height width"]:
    """Pictures moved, turned (8 degrees), scaled, tinted, blurred and noised, each in its own way and at SIZE."""

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng) * 2 - 1

    count = len(pixels)
    angle, scale = 0.14 * draw(count), 1.06 + 0.16 * draw(count)
    turn = torch.stack([angle.cos() * scale, -angle.sin() * scale, angle.sin() * scale, angle.cos() * scale], dim=1)
    moved = torch.cat([turn.view(count, 2, 2), 0.12 * draw(count, 2, 1)], dim=2)
    grid = F.affine_grid(moved, [count, 3, SIZE, SIZE], align_corners=False)
    # beyond the edges lies white, which is 0 once it is taken away
    pixels = 1 + F.grid_sample(pixels - 1, grid, align_corners=False)
    tint = 1 + 0.12 * draw(count, 3, 1, 1) + 0.1 * draw(count, 1, 1, 1)
    pixels = 1 + (pixels - 1) * tint
    small = F.interpolate(pixels, scale_factor=0.5, mode="area")
    blurred = F.interpolate(small, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    share = (1.6 * torch.rand(count, 1, 1, 1, generator=rng) - 0.6).clamp(min=0)
    pixels = pixels + share * (blurred - pixels)
    noise = torch.randn(pixels.shape, generator=rng)
    return (pixels + 0.12 * torch.rand(count, 1, 1, 1, generator=rng) * noise).clamp(-1, 1)


def train(
    emoji: Sequence[Emoji],
    *,
    steps: int,
    batch: int = 128,
    seed: int = 0,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> JudgeNetwork:
    """A network trained on these pictures. Bfloat16, 1e-3 by AdamW, one cycle."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    concepts = sorted({one.concept for one in emoji})
    pixels = torch.cat([to_input([render(one.svg, 96)]) for one in emoji]).half()
    concept = torch.tensor([concepts.index(one.concept) for one in emoji])
    style = torch.tensor([STYLES.index(one.style) for one in emoji])
    network = JudgeNetwork(len(concepts)).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.15, cycle_momentum=False)
    for step in range(steps):
        chosen = torch.randint(len(emoji), (batch,), generator=rng)
        shown = spoiled(pixels[chosen].float(), rng).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            embedding, styles = network(shown)
        logits = SHARPNESS * embedding @ F.normalize(network.concepts, dim=1).T
        loss = F.cross_entropy(logits, concept[chosen]) + 0.3 * F.cross_entropy(styles, style[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        report(step, loss.item())
    return network


def examine(judge: EmojiJudge, emoji: Sequence[Emoji], seed: int = 0) -> dict[str, float]:
    """Shares of real pictures, each drawn anew once, that the judge recognises: `recall@1` is the concept and the style
    both right among all real pictures of both styles; `recall@10` among those of its style; `style` alone."""
    rng = random.Random(f"emoji/judge/{seed}")
    sightings = judge.look([redrawn(one.svg, rng) for one in emoji], [one.cell for one in emoji])
    pairs = list(zip(sightings, emoji, strict=True))
    right = [(seen.style == one.style, seen.rank) for seen, one in pairs]
    return {
        "recall@1": sum(style and rank == 1 for style, rank in right) / len(right),
        "recall@10": sum(rank <= 10 for _, rank in right) / len(right),
        "style": sum(style for style, _ in right) / len(right),
    }


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where scripts/download_data.sh emoji has put the data")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    plain = [one for one in read_emoji(options.folder / "packages") if not one.tone]
    start = time.monotonic()

    def report(step: int, loss: float) -> None:
        if step % 100 == 99:
            print(f"step {step + 1:5}/{options.steps}  loss {loss:.4f}  {time.monotonic() - start:5.0f} s", flush=True)

    network = train(plain, steps=options.steps, seed=options.seed, report=report).eval()
    judge = of_pictures(network, plain)
    hidden = held_out(plain)
    scores = {"all": examine(judge, plain), "held out": examine(judge, [one for one in plain if one.cell in hidden])}
    print(json.dumps(scores, indent=1))
    if scores["all"]["recall@1"] < LEAST_RECALL:
        raise SystemExit(f"recall@1 is below {LEAST_RECALL}: not written, train for more --steps")
    tensors = network.state_dict() | {"real": torch.from_numpy(judge.real)}
    about = {"concepts": json.dumps(judge.concepts), "scores": json.dumps(scores), "steps": options.steps}
    write_tensors(options.folder / WEIGHTS, tensors, about)


def of_pictures(network: JudgeNetwork, emoji: Sequence[Emoji]) -> EmojiJudge:
    """The judge that knows these pictures, two of each concept."""
    concepts = sorted({one.concept for one in emoji})
    judge = EmojiJudge(network, concepts, np.zeros((len(STYLES), len(concepts), 0), np.float32))
    by_cell = {one.cell: one for one in emoji}
    cells = [[by_cell[concept, style] for concept in concepts] for style in STYLES]
    judge.real = np.stack([judge.embed([render(one.svg, 72) for one in row])[0] for row in cells])
    return judge


if __name__ == "__main__":
    main()

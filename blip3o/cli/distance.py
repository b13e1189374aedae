"""blip3o evaluate distance: how near drawn pictures are to real ones, as sets, and to their prompts."""

from pathlib import Path
from typing import Annotated

import typer

from blip3o.cli.files import as_json
from blip3o.cli.options import Debug, Device, Json, examples, refuse_idle
from blip3o.cli.progress import working
from blip3o.errors import ConfigError

EXAMPLES = examples(
    "blip3o evaluate distance drawn real",
    "blip3o evaluate distance drawn real --encoder dinov2 --encoder inception=inception-2015-12-05.pt",
    "blip3o evaluate distance drawn real --validation held-out --encoder clip --encoder siglip2 --encoder mae",
    "blip3o evaluate distance drawn --prompts prompts.json",
)


def distance(
    context: typer.Context,
    drawn: Annotated[Path, typer.Argument(help="A folder of drawn pictures.")],
    real: Annotated[Path | None, typer.Argument(help="A folder of real ones.")] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME=FOLDER of dinov2, clip, siglip2, mae, convnextv2, inception; repeatable."),
    ] = None,
    validation: Annotated[Path | None, typer.Option(help="Other real pictures: adds FDr, the ratio to theirs.")] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Adds CLIPScore. JSON, file name -> prompt; or DRAWN again, a .txt beside each picture."),
    ] = None,
    clipscore: Annotated[str, typer.Option(help="hessel or torchmetrics, each =FOLDER of its CLIP.")] = "hessel",
    device: Device = "auto",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Frechet distance, KID and FDr between folders of pictures, and CLIPScore with prompts.

    A Frechet distance grows with fewer pictures: compare only those over the
    same numbers.
    """
    if real is None and prompts is None:
        raise ConfigError("nothing to compare with: name a folder of real pictures, or --prompts")
    against = ("against real pictures", real is not None)
    scored = {"clipscore": ("with --prompts", prompts is not None)}
    refuse_idle(context, {"encoder": against, "validation": against} | scored)
    from blip3o.evals.distributions import encoders, folders
    from blip3o.evals.distributions.clipscore import WAYS, ClipScorer
    from blip3o.weights.placement.device import find_device

    sources = _sources(encoder or ["dinov2"])
    way, clip = _named(clipscore)
    if way not in WAYS:
        raise ConfigError(f"clipscore is {way!r}: choose one of {', '.join(WAYS)}")
    table = None if prompts == drawn else prompts
    if real is not None:  # what is wrong with the folders is told before a network is fetched
        folders.sets(drawn, real, validation)
    if prompts is not None:
        folders.captioned(drawn, table)
    place, metrics = str(find_device(device)), dict[str, float]()
    with working("looking") as progress:
        if real is not None:
            networks = {name: encoders.load(name, source, place) for name, source in sources.items()}
            metrics |= folders.compare(drawn, real, networks, validation=validation, progress=progress)
        if prompts is not None:
            cosines = folders.alignment(drawn, table, ClipScorer(way, clip, place), progress=progress)
            metrics[f"clipscore/{way}"] = WAYS[way].score(cosines)
    print(as_json(metrics) if json else "\n".join(f"{name:<24} {value:.4f}" for name, value in metrics.items()))


def _sources(words: list[str]) -> dict[str, str | None]:
    """Encoder -> the place of its network. Raises ConfigError for one that is not there, and for one named twice."""
    from blip3o.evals.distributions import encoders

    sources = dict(map(_named, words))
    for name in sources:
        encoders.check(name)
    if len(sources) < len(words):
        raise ConfigError(f"an encoder is named twice in {', '.join(words)}: compare by each network once")
    return sources


def _named(word: str) -> tuple[str, str | None]:
    """A name, and where it says so the place of its network."""
    name, _, source = word.partition("=")
    return name, source or None

"""Writes the tables of configs/README.md: every field of every config, as the code documents it.

python scripts/config_fields.py
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "configs" / "README.md"
BEGIN = "<!-- fields: scripts/config_fields.py writes what follows -->"
FOLDERS = ("train", "data", "picturebook", "weights", "pipeline", "processing", "model")
"""In the order in which their configs are told."""
NAMES = {"Recipe", "Stage"}
BASES = {"ObjectiveConfig", "SourceConfig", "RowSourceConfig", "HeadSizes", "Sampling", "SketchedSpaceConfig"}
"""Whose fields others have, too."""
PLAIN = {
    "name": "What it is called.",
    "kind": "Which of its kind is meant.",
    "steps": "How many steps are taken.",
    "seed": "What all random numbers of the run are drawn by.",
    "path": "Where the data lies.",
    "split": "Which split of a data set is read.",
    "text": "Sizes of the language model.",
    "vision": "Sizes of the vision tower.",
    "vae": "The autoencoder's config, as its library writes it.",
    "transformer": "The transformer's config, as its library writes it.",
    "unet": "The UNet's config, as its library writes it.",
    "scheduler": "The noise schedule's config, as its library writes it.",
    "hidden_size": "Width of the hidden states.",
    "intermediate_size": "Width inside the MLPs.",
    "num_hidden_layers": "Layers.",
    "num_attention_heads": "Heads of the attention.",
    "num_key_value_heads": "Heads of keys and values, which several heads share.",
    "num_heads": "Heads of the attention.",
    "head_dim": "Width of a head.",
    "vocab_size": "Embeddings; the tokenizer has at most as many tokens.",
    "tie_word_embeddings": "Whether the output head is the embedding.",
    "rope_theta": "Base of the rotation's frequencies.",
    "rms_norm_eps": "Added to the variance before its root.",
    "mrope_section": "Pairs of channels that turn by frame, row and column.",
    "max_position_embeddings": "Longest sequence that the rotation was made for.",
    "depth": "Blocks.",
    "patch_size": "Side of a patch in px.",
    "merge_size": "Patches per side that make one token.",
    "temporal_patch_size": "Frames in a patch.",
    "spatial_merge_size": "Patches per side that make one token.",
    "window_size": "Side of an attention window in px.",
    "fullatt_block_indexes": "Blocks that look at the whole picture.",
    "image_size": "Side of a picture in px.",
    "prompt": "How words and pictures become inputs.",
    "unified": "Backbone, head and denoiser.",
    "space": "Encoder and decoder of the image space.",
    "sampling": "How it draws where nothing else is said.",
    "reasoning": "Whether and how it reasons in words before it draws.",
    "backbone": "The language model that reads and writes.",
    "head": "What generates image features.",
    "denoiser": "The network of a flow head; none for others.",
    "encoder": "From pixels to features; none is a space that only paints.",
    "decoder": "From features to pixels; none is a model that does not paint.",
    "tower": "Sizes of the SigLIP.",
    "optimizer": "What takes the steps.",
    "batch": "Scenes in a step.",
    "stages": "The stages in their order.",
    "validation": "Samples that are held out of training, and when the losses of them are measured.",
    "channels": "Channels of the features.",
    "width": "Width of the hidden states.",
    "blocks": "Blocks at each resolution.",
    "positions": "Positions that have an embedding of their own.",
    "vocabulary": "Words of the dense captions.",
    "places": "Places that the dense captions name.",
    "slot_length": "Positions of the slot in which an image is generated.",
    "least_pixels": "Fewest px of a picture that is read; with most_pixels, where pictures keep their shape.",
    "mean": "Of the three colours, by which read pictures are normalised.",
    "guided_from": "Time from which guidance holds, 0 to 1; with guided_until.",
    "learning_rate": "Highest length of a step.",
    "weight_decay": "Share of a weight that a step takes off, times the learning rate.",
}
"""Field -> what it is, where its name and the code say enough for those who read code."""


def configs() -> Iterator[tuple[str, ast.ClassDef]]:
    """Every config, with its place; those of `FOLDERS` in turn."""
    for folder in FOLDERS:
        for path in sorted((ROOT / "blip3o" / folder).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and (node.name.endswith("Config") or node.name in NAMES | BASES):
                    yield path.relative_to(ROOT).as_posix(), node


def rows(config: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Field, its default ("" where it must be given) and what it is."""
    for statement, following in zip(config.body, [*config.body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or "ClassVar" in ast.unparse(statement.annotation):
            continue
        name = ast.unparse(statement.target)
        docs = following.value if isinstance(following, ast.Expr) else None
        meaning = str(docs.value) if isinstance(docs, ast.Constant) else PLAIN[name]
        value = "" if statement.value is None else ast.unparse(statement.value)
        default = (
            value.removeprefix("field(default_factory=").removesuffix(")") if value.startswith("field(") else value
        )
        yield name, default, " ".join(meaning.split())


def tables() -> str:
    """All configs as tables, what may not be left out without a default."""
    parts = []
    for place, config in configs():
        lines = [
            f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |".replace("||", "|")
            for name, default, meaning in rows(config)
        ]
        if lines:
            title = " ".join(str(ast.get_docstring(config)).split("\n\n")[0].split())
            head = [f"### {config.name}", "", f"{title} ({place})", "", "| field | default | |", "|---|---|---|"]
            parts.append("\n".join([*head, *lines]))
    return "\n\n".join(parts) + "\n"


def page(text: str) -> str:
    """The page with its tables as the code has them today."""
    return text[: text.index(BEGIN)] + BEGIN + "\n\n" + tables()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""What the loss of words and the layers of a backbone hold in memory, at once and in parts.

    python benchmarks/step_memory.py

Words: cross-entropy of 2,048 labelled tokens over the 151,668 words of the published 8B, with its gradient, by
`Unified.token_losses`. Layers: the gradient of a backbone of 12 layers of width 256 for 4 rows of 512 tokens, with all
activations kept and with each layer run once more (`checkpointing` of a stage). Each case is a process of its own: its
highest memory is told, less that before the loss.
"""

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import replace

import torch
from training_step import VISION, config, text_config

from blip3o.model import unified as model
from blip3o.model.backbones.qwen2_5_vl import Qwen, QwenConfig
from blip3o.train.regions import Regions

CASES = ("words at once", "words in parts", "layers kept", "layers anew")


def peak_mb() -> float:
    """The highest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def words(*, at_once: bool) -> float:
    """Of the loss of words, in MB."""
    unified = model.Unified(config("widths"))
    unified.requires_grad_(False)
    unified.backbone.lm_head.weight.requires_grad_(True)
    if at_once:
        model.LOGITS_AT_ONCE = 2**62
    hidden = torch.randn(2048, unified.backbone.width, requires_grad=True)
    tokens = torch.randint(151_668, (2048,))
    before = peak_mb()
    unified.token_losses(hidden, tokens).sum().backward()
    return peak_mb() - before


def layers(*, anew: bool) -> float:
    """Of the gradient of a backbone, in MB."""
    text = replace(text_config(2_704), num_hidden_layers=12)
    backbone = Qwen(QwenConfig(text=text, vision=VISION))
    embeddings, mask = torch.randn(4, 512, backbone.width), torch.ones(4, 512, dtype=torch.bool)
    before = peak_mb()
    with Regions(backbone, checkpointing=anew, compiled=False).active():
        backbone(embeddings, mask).square().mean().backward()
    return peak_mb() - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, help="only this one, in this process")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.case is None:
        for case in CASES:
            found = subprocess.run(
                [sys.executable, __file__, "--case", case], capture_output=True, text=True, check=True
            )
            print(found.stdout, end="")
        return
    kind, _, way = options.case.partition(" ")
    mb = words(at_once=way == "at once") if kind == "words" else layers(anew=way == "anew")
    print(json.dumps({"case": options.case, "mb": round(mb)}))


if __name__ == "__main__":
    main()

"""Scores a checkpoint: the original documentation's `python evaluate.py ...`, by `blip3o evaluate`."""

from blip3o.cli import original

if __name__ == "__main__":
    original.main(original.evaluate)

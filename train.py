"""Trains by a recipe: the original documentation's `python train.py ...`, by `blip3o train`."""

from blip3o.cli import original

if __name__ == "__main__":
    original.main(original.train)

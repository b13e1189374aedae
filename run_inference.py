"""Reads a picture: the original documentation's `python run_inference.py ...`, by `blip3o understand`."""

from blip3o.cli import original

if __name__ == "__main__":
    original.main(original.run_inference)

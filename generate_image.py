"""Draws a picture: the original documentation's `python generate_image.py ...`, by `blip3o generate`."""

from blip3o.cli import original

if __name__ == "__main__":
    original.main(original.generate_image)

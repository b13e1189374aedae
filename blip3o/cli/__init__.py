"""The command line: one file per verb. `blip3o --help` opens neither torch nor Pillow."""

from blip3o.cli.app import main, run

__all__ = ["main", "run"]

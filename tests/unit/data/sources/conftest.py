"""Images to read, one of each colour."""

import pytest
from data_files import COLORS, encoded


@pytest.fixture
def folder(tmp_path):
    """Images of three colours with a caption beside each."""
    for color in COLORS:
        (tmp_path / f"{color}.png").write_bytes(encoded(color))
        (tmp_path / f"{color}.txt").write_text(f"a {color} field\n")
    return tmp_path

"""Results get new names, carry where they come from, and are whole or not there."""

import json

import pytest
from PIL import Image

from blip3o.cli.files import check_writable, grid, is_folder, slug, unused, write_picture, write_pictures
from blip3o.errors import OutputError


@pytest.fixture
def pictures():
    """Two pictures that say what they are."""
    made = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for index, image in enumerate(made):
        image.info |= {"prompt": "größe 犬", "seed": str(index), "model": "tiny"}
    return made


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A red dog, at night!", "a-red-dog-at-night"),
        ("../../etc/passwd", "etc-passwd"),
        ("犬", "picture"),
        ("x" * 99, "x" * 60),
    ],
)
def test_a_prompt_becomes_a_plain_file_name(text, name):
    assert slug(text) == name


def test_a_name_that_exists_is_not_taken_again(tmp_path):
    names = []
    for _ in range(3):
        path = unused(tmp_path / "dog.png")
        path.touch()
        names.append(path.name)
    assert names == ["dog.png", "dog-2.png", "dog-3.png"]


@pytest.mark.parametrize(
    ("suffix", "where"), [("png", lambda i: i.info), ("jpg", lambda i: json.loads(i.info["comment"]))]
)
def test_a_picture_file_carries_its_facts(tmp_path, pictures, suffix, where):
    path = write_picture(pictures[1], tmp_path / f"x.{suffix}")
    with Image.open(path) as read:
        assert {key: where(read)[key] for key in ("prompt", "seed", "model")} == pictures[1].info


def test_several_pictures_in_a_folder_have_a_grid_beside_them(tmp_path, pictures):
    paths = write_pictures(pictures, ["a", "a"], tmp_path / "out", 2)
    assert [path.name for path in paths] == ["a.png", "a-2.png"]
    with Image.open(tmp_path / "out" / "grid.png") as page:
        assert page.info["seed"] == "0; 1"


def test_several_pictures_in_a_file_are_a_grid(tmp_path, pictures):
    assert write_pictures(pictures, ["a", "b"], tmp_path / "x.png", 2) == [tmp_path / "x.png"] * 2
    with Image.open(tmp_path / "x.png") as page:
        assert page.size == (18, 8)


def test_a_grid_fills_its_rows_from_the_left(pictures):
    page = grid([*pictures, pictures[0]], columns=2, gap=0)
    corners = [page.getpixel(place) for place in ((0, 0), (8, 0), (0, 8), (8, 8))]
    assert corners == [(255, 0, 0), (0, 0, 255), (255, 0, 0), (255, 255, 255)]


def test_a_write_that_fails_leaves_nothing(tmp_path, pictures, monkeypatch):
    def full(self, path, *_, **__):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        write_picture(pictures[0], tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_is_refused_before_any_work(tmp_path):
    with pytest.raises(OutputError, match=r"pictures end in \.png"):
        is_folder(tmp_path / "x.gif")


def test_an_output_below_a_file_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        check_writable(tmp_path / "file" / "x.png")


def test_an_output_in_folders_to_come_is_accepted(tmp_path):
    check_writable(tmp_path / "a" / "b" / "x.png")
    assert list(tmp_path.iterdir()) == []

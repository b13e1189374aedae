"""Results get new names, carry where they come from, and are whole or not there."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from blip3o.cli.files import Gallery, check_writable, grid, is_folder, new_file, slug, write_picture
from blip3o.cli.options import Stopped
from blip3o.errors import OutputError
from blip3o.files import write_text


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
        with new_file(tmp_path / "dog.png") as path:
            names.append(path.name)
    assert names == ["dog.png", "dog-2.png", "dog-3.png"]


def test_many_at_once_never_get_one_name(tmp_path):
    def take(_):
        with new_file(tmp_path / "out" / "dog.png") as path:
            path.write_text("mine")
            return path

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(take, range(64)))
    assert len(set(paths)) == 64
    assert {path.read_text() for path in paths} == {"mine"}


def test_a_name_is_given_back_where_writing_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_file(tmp_path / "dog.png"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_name_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"), new_file(tmp_path / "file" / "dog.png"):
        pass


def test_text_that_is_no_utf8_is_written_with_its_escapes(tmp_path, pictures):
    pictures[0].info["source"] = "caf\udce9.png"
    with Image.open(write_picture(pictures[0], tmp_path / "x.png")) as read:
        assert read.info["source"] == r"caf\udce9.png"
    with Image.open(write_picture(pictures[0], tmp_path / "x.jpg")) as read:
        assert json.loads(read.info["comment"])["source"] == "caf\udce9.png"
    assert write_text(tmp_path / "x.md", "caf\udce9").read_text() == r"caf\udce9"


@pytest.mark.parametrize(
    ("suffix", "where"), [("png", lambda i: i.info), ("jpg", lambda i: json.loads(i.info["comment"]))]
)
def test_a_picture_file_carries_its_facts(tmp_path, pictures, suffix, where):
    path = write_picture(pictures[1], tmp_path / f"x.{suffix}")
    with Image.open(path) as read:
        assert {key: where(read)[key] for key in ("prompt", "seed", "model")} == pictures[1].info


def filled(output, names, pictures, columns=2):
    with Gallery(output, names, columns) as gallery:
        for index, image in enumerate(pictures):
            gallery.add(index, image)
    return gallery.paths


def test_several_pictures_in_a_folder_have_a_grid_beside_them(tmp_path, pictures):
    paths = filled(tmp_path / "out", ["a", "a"], pictures)
    assert [path.name for path in paths] == ["a.png", "a-2.png"]
    with Image.open(tmp_path / "out" / "grid.png") as page:
        assert page.info["seed"] == "0; 1"


def test_several_pictures_in_a_file_are_a_grid(tmp_path, pictures):
    assert filled(tmp_path / "x.png", ["a", "b"], pictures) == [tmp_path / "x.png"] * 2
    with Image.open(tmp_path / "x.png") as page:
        assert page.size == (18, 8)


def pressed(pictures):
    yield from pictures
    raise KeyboardInterrupt


def test_a_picture_is_there_before_the_next_is_made(tmp_path, pictures):
    with Gallery(tmp_path, ["a", "b"], 2) as gallery:
        gallery.add(0, pictures[0])
        with Image.open(tmp_path / "a.png") as read:
            assert read.size == (8, 8)
        gallery.add(1, pictures[1])


def test_ctrl_c_keeps_what_is_written_and_says_so(tmp_path, pictures):
    with pytest.raises(Stopped, match=r"stopped: 2 of 9 pictures are written, the last to .*b\.png"):
        filled(tmp_path, [*"abcdefghi"], pressed(pictures))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_ctrl_c_writes_a_grid_of_what_is_there_into_a_file(tmp_path, pictures):
    with pytest.raises(Stopped, match=r"2 of 9 pictures are written, the last to .*x\.png"):
        filled(tmp_path / "x.png", [*"abcdefghi"], pressed(pictures))
    with Image.open(tmp_path / "x.png") as page:
        assert page.size == (18, 8)


def test_ctrl_c_before_the_first_picture_has_nothing_to_say(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path, ["a", "b"], pressed([]))
    assert list(tmp_path.iterdir()) == []


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

"""A file appears whole or not at all."""

import pytest

from blip3o.errors import OutputError
from blip3o.files import append, make_folder, write_text, writing


def test_a_write_that_is_interrupted_leaves_what_was_there_and_nothing_else(tmp_path):
    path = write_text(tmp_path / "a.txt", "whole")

    def interrupted():
        with writing(path) as temporary:
            temporary.write_text("ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("a.txt", "whole")]


def test_a_file_appears_in_folders_of_its_own_and_anybody_may_read_it(tmp_path):
    path = write_text(tmp_path / "some" / "where" / "a.txt", "caf\udce9")
    assert path.read_text() == r"caf\udce9"
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_is_added_stands_after_what_was_there(tmp_path):
    append(tmp_path / "a.txt", "one\n")
    append(tmp_path / "a.txt", "two\n")
    assert (tmp_path / "a.txt").read_text() == "one\ntwo\n"


def test_what_cannot_be_written_says_so(tmp_path):
    write_text(tmp_path / "file", "")
    for write in (write_text, append):
        with pytest.raises(OutputError, match="cannot"):
            write(tmp_path / "file" / "a.txt", "text")
    with pytest.raises(OutputError, match=r"cannot make .*choose a folder"):
        make_folder(tmp_path / "file" / "folder")

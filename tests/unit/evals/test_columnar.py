"""Rows come without their pictures, which are read when they are looked at, from Parquet and Arrow alike."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmark_data import content

from blip3o.errors import DataError, PictureError
from blip3o.evals.columnar import ColumnFile, Stored

COLORS = ("red", "green", "blue", "white", "black")
PICTURE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
SCHEMA = pa.schema({"id": pa.int64(), "image": PICTURE, "frames": pa.list_(PICTURE), "raw": pa.binary()})


def cell(color):
    return {"bytes": content(color), "path": f"{color}.png"}


def rows():
    return [
        {
            "id": number,
            "image": None if number == 3 else cell(color),
            "frames": None if number == 3 else [cell(one) for one in COLORS[:number]],
            "raw": content(color),
        }
        for number, color in enumerate(COLORS)
    ]


def write_parquet(path, table):
    pq.write_table(table, path, row_group_size=2)


def write_stream(path, table):
    with path.open("wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)


def write_file(path, table):
    with path.open("wb") as file, pa.ipc.new_file(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)


WRITERS = {"parquet": write_parquet, "stream": write_stream, "file": write_file}


@pytest.fixture(params=WRITERS)
def file(request, tmp_path):
    path = tmp_path / ("data.parquet" if request.param == "parquet" else "data.arrow")
    WRITERS[request.param](path, pa.Table.from_pylist(rows(), SCHEMA))
    return ColumnFile(path)


def test_every_picture_is_what_was_written_and_none_is_read_before(file):
    found = file.rows()
    assert all(row.keys() == set(SCHEMA.names) for row in found)
    assert not any(isinstance(value, bytes) for row in found for value in row.values())
    assert [row["id"] for row in found] == list(range(5))
    for row, wanted in zip(found, rows(), strict=True):
        assert (None if row["image"] is None else row["image"].read()) == (wanted["image"] and wanted["image"]["bytes"])
        frames = None if wanted["frames"] is None else [frame["bytes"] for frame in wanted["frames"]]
        assert (None if row["frames"] is None else [one.read() for one in row["frames"]]) == frames
        assert row["raw"].read() == wanted["raw"]


def test_pictures_of_all_groups_are_never_held_together(tmp_path, monkeypatch):
    monkeypatch.setattr("blip3o.evals.columnar.GROUPS_KEPT", 1)
    write_parquet(tmp_path / "a.parquet", pa.Table.from_pylist(rows(), SCHEMA))
    file = ColumnFile(tmp_path / "a.parquet")
    for row in file.rows():
        row["raw"].read()
    assert file.pictures.cache_info()[2:] == (1, 1)
    assert file.pictures.cache_info().misses == 3


@pytest.mark.parametrize("writer", [write_parquet, write_stream])
def test_reading_the_rows_reads_no_picture(tmp_path, writer):
    """A gigabyte of pictures would be no more than their rows: the memory of Arrow tells."""
    path = tmp_path / ("a.parquet" if writer is write_parquet else "a.arrow")
    big = pa.Table.from_pylist([{"id": 1, "image": {"bytes": bytes(range(256)) * 40_000, "path": "x"}}] * 8)
    writer(path, big)
    del big
    before = pa.total_allocated_bytes()
    rows = ColumnFile(path).rows()
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert len(rows[7]["image"].read()) == 10_240_000


def test_empty_cells_and_damaged_pages_are_of_their_picture_alone(tmp_path):
    table = pa.Table.from_pylist(
        [{"id": 1, "image": {"bytes": None, "path": "a.png"}}, {"id": 2, "image": cell("red")}]
    )
    write_parquet(tmp_path / "a.parquet", table)
    first, second = (row["image"] for row in ColumnFile(tmp_path / "a.parquet").rows())
    with pytest.raises(PictureError, match=r"row 0 of a\.parquet is empty"):
        first.read()
    assert second.read() == content("red")
    whole = (tmp_path / "a.parquet").read_bytes()
    page = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(1).dictionary_page_offset
    (tmp_path / "a.parquet").write_bytes(whole[:page] + b"\xff" * 8 + whole[page + 8 :])
    with pytest.raises(PictureError, match=r"the picture in row 1 of a\.parquet cannot be read") as raised:
        ColumnFile(tmp_path / "a.parquet").rows()[1]["image"].read()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_files_that_are_none_are_one_line(tmp_path, name):
    for junk in (b"", b"junk", b"PAR1 junk PAR1", b"ARROW1\x00\x00 junk"):
        (tmp_path / name).write_bytes(junk)
        with pytest.raises(DataError, match=rf"{name} is no whole (Parquet|Arrow) file") as raised:
            ColumnFile(tmp_path / name).rows()
        assert "\n" not in str(raised.value)


def test_a_struct_that_is_no_picture_and_plain_words_stay_as_they_are(tmp_path):
    rows = [{"facts": {"bytes_read": 3}, "words": ["a"], "parts": [{"answer": "x"}]}]
    write_parquet(tmp_path / "a.parquet", pa.Table.from_pylist(rows))
    assert ColumnFile(tmp_path / "a.parquet").rows() == rows
    assert not any(isinstance(value, Stored) for value in rows[0].values())

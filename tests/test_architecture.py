"""The picture and the table of the architecture show the code as it is."""

import pathlib

import pytest

from docs import draw_architecture as drawing

ROOT = pathlib.Path(__file__).parents[1]
MAIN = 'if __name__ == "__main__":\n    '
AGAIN = "Run `python docs/draw_architecture.py` and look at the picture."


def test_picture_is_up_to_date():
    assert (ROOT / drawing.PICTURE).read_text() == drawing.picture(), AGAIN


def test_table_is_up_to_date():
    text = (ROOT / drawing.PAGE).read_text()
    assert text == drawing.page(text), AGAIN


@pytest.mark.parametrize("program", [way[1] for way in drawing.WAYS])
def test_ways_name_programs(program):
    assert MAIN in (ROOT / f"{program}.py").read_text()


def make(root, name, text=""):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_rooms_and_imports_by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "FOLDERS", ("train", "facedancer"))
    make(tmp_path, "facedancer/errors.py")
    make(tmp_path, "facedancer/imaging/images.py")
    make(tmp_path, "train/__init__.py", '"""Trains."""')
    program = f"from facedancer.train.low import a\n\n{MAIN}pass\n"
    make(tmp_path, "train/train.py", program)
    make(tmp_path, "train/config.py", f'"""For example\n\n    {MAIN}pass\n"""')
    make(tmp_path, "train/low/__init__.py", '"""Lies low.\n\nMore.\n"""')
    make(tmp_path, "train/low/a.py", "from facedancer.imaging import images\n")
    make(tmp_path, "train/high/__init__.py", '"""High."""')
    make(tmp_path, "train/high/b.py", "import facedancer.train.low.a\n")
    rooms = drawing.read_rooms(tmp_path)
    assert rooms["train", "low"].about == "Lies low."
    assert rooms["train", "low"].imports == {("facedancer", "imaging")}
    assert rooms["train", "high"].imports == {("train", "low")}
    assert rooms["train", ""].imports == {("train", "low")}
    assert drawing.room_edges(rooms, "train") == {"low": set(), "high": {"low"}}
    assert drawing.folder_edges(rooms) == {"train": {"facedancer"}, "facedancer": set()}
    assert rooms["train", ""].programs == ["train"]
    assert "| `train/high/` | High. |  |" in drawing.table(tmp_path)


def test_levels_and_reduced_edges():
    edges = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert drawing.levels_of(edges) == {"a": 2, "b": 1, "c": 0}
    assert drawing.reduced(edges) == [("a", "b"), ("b", "c")]

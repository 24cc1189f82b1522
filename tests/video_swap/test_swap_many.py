"""Tests of `facedancer.video_swap.swap_many`: patterns, going on, reports, runners."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.imaging import images, sample_photos
from facedancer.process import beam_runner
from facedancer.video_swap import demo, swap_many
from facedancer.video_swap.media import video_reader
from facedancer.video_swap.provenance import signing
from facedancer.video_swap.settings import PeopleSettings


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two sources, a photo of a face and a file that is none."""
    monkeypatch.chdir(tmp_path)
    hopper = sample_photos.read("hopper")
    images.write_image("people/ann.png", hopper)
    images.write_image("people/bob.png", np.ascontiguousarray(hopper[:, ::-1]))
    images.write_image("photos/one.png", sample_photos.read("collins"))
    pathlib.Path("photos/two.png").write_text("no picture")
    return tmp_path


def settings(**values):
    values = {
        "people": PeopleSettings(swap_source=("people/*.png",)),
        "target": ("photos/*.png",),
        "output": "out/{target}/{source}.png",
    } | values
    return swap_many.ManySettings(**values)


def statuses():
    pairs = json.loads(pathlib.Path("out/report.json").read_text())["pairs"]
    return {pair["output"]: pair["status"] for pair in pairs}


def test_every_source_into_every_target_and_again(folder, capsys):
    given = settings()
    assert swap_many.main(given) == 2
    good = ["out/one/ann.png", "out/one/bob.png"]
    bad = ["out/two/ann.png", "out/two/bob.png"]
    assert statuses() == dict.fromkeys(good, "done") | dict.fromkeys(bad, "failed")
    assert all(signing.read(path).intact for path in good)
    first, second = (images.read_image(path).astype(int) for path in good)
    assert np.abs(first - second).max() > 20  # two faces
    said = capsys.readouterr().out
    assert "2 done, 0 skipped, 2 failed. Report: out/report.json" in said
    assert "photos/two.png: " in said  # the reason
    times = [pathlib.Path(path).stat().st_mtime_ns for path in good]
    pathlib.Path(good[1]).write_bytes(b"altered")
    pathlib.Path(bad[0]).parent.mkdir(exist_ok=True)
    assert swap_many.main(given) == 2
    assert statuses()[good[0]] == "skipped"
    assert statuses()[good[1]] == "done"
    assert pathlib.Path(good[0]).stat().st_mtime_ns == times[0]
    assert np.array_equal(images.read_image(good[1]), second)
    # Another face under the same name is another result.
    images.write_image("people/bob.png", sample_photos.read("collins"))
    swap_many.main(given)
    assert statuses()[good[1]] == "done" and statuses()[good[0]] == "skipped"
    assert not list(pathlib.Path("out").glob(".report*"))


def test_all_failed(folder):
    given = settings(target=("photos/two.png",))
    assert swap_many.main(given) == 1
    assert set(statuses().values()) == {"failed"}


@pytest.mark.parametrize(
    "values, words",
    [
        ({"target": ("films/*.mp4",)}, "--target: no file is called films/"),
        ({"target": ()}, "Give them with -t"),
        ({"output": "out/{target}.png"}, "people/bob.png and|would both be out/one"),
        ({"output": "out/{who}.png"}, "knows {target}, {source} and {ending}"),
        (
            {"people": PeopleSettings(swap_source=("nobody.jpg",))},
            "--swap_source: no file is called nobody.jpg",
        ),
    ],
)
def test_refused(folder, values, words):
    with pytest.raises(InputError, match=words):
        swap_many.main(settings(**values))
    assert not pathlib.Path("out").exists()


def test_a_foreign_report_is_not_written_over(folder):
    pathlib.Path("notes.json").write_text('{"mine": 1}')
    with pytest.raises(InputError, match="not the report of such a run"):
        swap_many.main(settings(report="notes.json"))
    assert pathlib.Path("notes.json").read_text() == '{"mine": 1}'


def test_names_of_results(folder):
    assert swap_many.output_of("o/{source}-{target}{ending}", "a/b.c.jpg", "me") == (
        "o/me-b.c.mp4"  # a file that is not there is no photo
    )
    assert swap_many.output_of("{target}{ending}", "photos/one.png", "") == "one.png"
    assert swap_many.report_path(settings()) == pathlib.Path("out/report.json")
    deep = settings(output="a/b/{target}/c/{source}.png")
    assert swap_many.report_path(deep) == pathlib.Path("a/b/report.json")


def test_keys_tell_settings_apart(folder):
    given = settings()
    key = swap_many.plan(given, pathlib.Path("r.json"))[0].key
    for changed in (
        dataclasses.replace(given, swap=dataclasses.replace(given.swap, strength=0.5)),
        dataclasses.replace(
            given, label=dataclasses.replace(given.label, visible_label=True)
        ),
    ):
        assert swap_many.plan(changed, pathlib.Path("r.json"))[0].key != key
    elsewhere = dataclasses.replace(given, report="other.json", runner="FnApiRunner")
    assert swap_many.plan(elsewhere, pathlib.Path("r.json"))[0].key == key


def test_beam_gives_the_same_results(folder):
    if not beam_runner.installed():
        pytest.skip("Apache Beam is not installed (extra beam)")
    swap_many.main(settings())
    alone = images.read_image("out/one/ann.png")
    given = settings(output="beam/{target}-{source}.png", runner="FnApiRunner")
    assert swap_many.main(given) == 2
    assert np.array_equal(images.read_image("beam/one-ann.png"), alone)
    pairs = json.loads(pathlib.Path("beam/report.json").read_text())["pairs"]
    assert [pair["status"] for pair in pairs] == ["done", "done", "failed", "failed"]


def test_beam_swaps_clips_too(folder):
    if not beam_runner.installed():
        pytest.skip("Apache Beam is not installed (extra beam)")
    collins = sample_photos.read("collins")
    demo.write_clip(pathlib.Path("a.mp4"), collins, 0.3)
    demo.write_clip(pathlib.Path("b.mp4"), collins, 0.2)
    pictures = {}
    for runner in ("local", "FnApiRunner"):
        given = settings(
            people=PeopleSettings(swap_source=("people/ann.png",)),
            target=("?.mp4",),
            output=f"{runner}/{{target}}.mp4",
            runner=runner,
        )
        assert swap_many.main(given) == 0
        for name in ("a", "b"):
            read = video_reader.VideoReader(f"{runner}/{name}.mp4")
            pictures[runner, name] = [frame.image for frame in read]
    for name in ("a", "b"):
        alone, handed = pictures["local", name], pictures["FnApiRunner", name]
        assert len(alone) == len(handed) > 4
        assert all(map(np.array_equal, alone, handed))


def test_without_beam_it_says_what_is_missing(folder):
    if beam_runner.installed():
        pytest.skip("Apache Beam is installed")
    with pytest.raises(InputError, match="needs Apache Beam"):
        swap_many.main(settings(runner="FnApiRunner"))

"""Tests of the command `facedancer`: which program is started, with which words."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import facedancer
from facedancer import command, programs

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def started(monkeypatch):
    """Starts nothing; calls give the program and its words."""

    def start(*words):
        found = []
        for one in command.COMMANDS.values():
            if one.program:
                name = one.program
                monkeypatch.setattr(
                    programs, name, lambda name=name: found.append((name, *sys.argv))
                )
        for name in ("swap_image", "swap_video", "swap_many"):
            monkeypatch.setattr(
                programs, name, lambda name=name: found.append((name, *sys.argv))
            )
        monkeypatch.setattr(sys, "argv", ["facedancer", *map(str, words)])
        command.main()
        return found[0]

    return start


def test_every_command_is_a_program():
    for name, one in command.COMMANDS.items():
        assert callable(getattr(programs, one.program or "swap_image")), name


def test_short_and_long_names(started):
    words = started("align", "-i", "photos", "-o=crops", "--im_size", "96")
    assert words[0] == "crop_align"
    assert words[1] == "facedancer align"
    assert words[2:] == (
        "--data_dir",
        "photos",
        "--target_dir=crops",
        "--im_size",
        "96",
    )


def picture(path, frames=1, **options):
    shades = [Image.fromarray(np.full((20, 30, 3), 40 * i, np.uint8)) for i in range(4)]
    shades[0].save(path, save_all=frames > 1, append_images=shades[1:frames], **options)
    return path


@pytest.mark.parametrize(
    "name, frames, program, flag",
    [
        ("still.png", 1, "swap_image", "--img_path"),
        ("still.gif", 1, "swap_image", "--img_path"),
        ("moving.gif", 3, "swap_video", "--vid_path"),
        ("moving.webp", 3, "swap_video", "--vid_path"),
    ],
)
def test_swap_goes_by_content(started, tmp_path, name, frames, program, flag):
    path = picture(tmp_path / name, frames)
    words = started("swap", "-s", "me.jpg", "-t", path, "-o", "out")
    assert words[0] == program
    expected = ("--swap_source", "me.jpg", flag, str(path), "--output", "out")
    assert words[2:] == expected


def test_a_photo_named_as_a_clip_is_a_photo(started, tmp_path):
    path = picture(tmp_path / "photo.mp4", format="PNG")
    assert started("swap", "-s", "me.jpg", f"--target={path}")[0] == "swap_image"


def test_what_is_no_picture_goes_to_the_program_of_clips(started, tmp_path):
    path = tmp_path / "clip.jpg"
    path.write_bytes(b"no picture")
    assert started("swap", "-s", "a", "-t", path)[0] == "swap_video"
    assert started("swap", "-s", "a", "-t", tmp_path)[0] == "swap_video"


@pytest.mark.parametrize(
    "words",
    [
        ("-t", "clips/*.mp4", "-o", "out/x.mp4"),
        ("-t", "a.mp4", "-t", "b.jpg"),
        ("-t=a.mp4", "-o=out/{target}-me.mp4"),
        ("-t", "a.mp4", "--runner", "FnApiRunner"),
    ],
)
def test_several_targets_are_one_batch(started, words):
    found = started("swap", "-s", "me.jpg", *words)
    assert found[0] == "swap_many"
    targets = ["--target" in word for word in found]
    assert sum(targets) == sum(word.startswith("-t") for word in words)


def test_a_file_with_the_letters_of_a_pattern_is_one_file(started, tmp_path):
    path = picture(tmp_path / "[me].png")
    assert started("swap", "-s", "me.jpg", "-t", path)[0] == "swap_image"


def run(*words):
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "facedancer", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_list_version_and_typing_errors_import_no_network():
    done = run("--help")
    assert done.returncode == 0
    assert "swap" in done.stdout and "verify" in done.stdout
    heavy = ("keras", "tensorflow", "openvino", "cv2")
    assert not [name for name in heavy if f" {name}\n" in done.stderr]
    assert run("--version").stdout.strip() == f"facedancer {facedancer.__version__}"
    wrong = run("swop")
    assert wrong.returncode == 1
    assert "Unknown command swop. Did you mean swap?" in wrong.stderr


EVERY_HELP = """
import contextlib, io, sys
from facedancer import command

for name in command.COMMANDS:
    for flag, status in (("--help", 0), ("--no_such_flag=1", 1)):
        sys.argv = ["facedancer", name, flag]
        if name == "swap" and status:
            sys.argv += ["-t", "x.mp4"]
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                command.main()
        except SystemExit as end:
            assert (end.code or 0) == status, (name, flag, end.code, said.getvalue())
        words = f"Usage: {name}" if not status else "no_such_flag"
        assert words.split()[0] in said.getvalue(), (name, flag, said.getvalue())
        for heavy in ("keras", "tensorflow", "jax", "openvino", "gradio", "matplotlib"):
            assert heavy not in sys.modules, f"{name} {flag} imports {heavy}"
print("all")
"""


def test_no_help_imports_what_computes():
    done = subprocess.run(
        [sys.executable, "-c", EVERY_HELP], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == "all\n", done.stderr[-2000:]


def test_the_list_stands_under_headings():
    text = run("--help").stdout
    order = [text.index(f"\n{heading}:\n") for heading in command.HEADINGS]
    assert order == sorted(order)
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines)
    for name, one in command.COMMANDS.items():
        assert f"  {name:<15} {one.help}" in lines


@pytest.mark.parametrize("words", [("--help",), ("--strenght=2", "-t", "x.mp4")])
def test_flags_of_a_swap_need_no_library(words):
    done = run("swap", *words)
    heavy = ("keras", "openvino", "numpy", "cv2", "av", "c2pa", "cryptography")
    assert not [name for name in heavy if f" {name}\n" in done.stderr]
    if words[0] != "--help":
        assert done.returncode == 1
        assert "Did you mean --strength?" in done.stderr


@pytest.mark.parametrize("words", ["--help", "swap --help", "weights list"])
def test_a_reader_may_go_early(words):
    # The shell keeps the program's status; `true` reads nothing.
    line = f"{sys.executable} -m facedancer {words} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stderr) in ((141, ""), (0, ""))


def test_swap_without_target(started, capsys):
    with pytest.raises(SystemExit) as caught:
        started("swap", "-s", "me.jpg")
    assert caught.value.code == 1
    assert "Give it with -t" in capsys.readouterr().err

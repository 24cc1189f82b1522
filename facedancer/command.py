"""The one command: `facedancer swap -s me.jpg -t clip.mp4 -o out.mp4`.

Each word after `facedancer` starts one program with the flags that follow. Programs are
imported when they are asked for only, so a list, a version or a mistyped word costs
nothing.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import sys
from collections.abc import Iterator

import facedancer
from facedancer import programs
from facedancer.flags import usage
from facedancer.flags.settings import did_you_mean


@dataclasses.dataclass(frozen=True)
class Command:
    """A word of the command line.

    Attributes:
        help: What it does, in one line.
        program: Attribute of `facedancer.programs`.
        short: Flags by their short names.
    """

    help: str
    program: str
    short: dict[str, str] = dataclasses.field(default_factory=dict)


_FOLDERS = {"-i": "--data_dir", "-o": "--target_dir"}
_SWAP = {"-s": "--swap_source", "--source": "--swap_source", "-o": "--output"}
_TARGET = ("-t", "--target", "--img_path", "--vid_path")

# By heading, in the order in which `--help` shows them.
HEADINGS = {
    "Swap": {
        "swap": Command(
            "Swap faces of a photo or clip: -s SOURCE -t TARGET -o OUTPUT.", "", _SWAP
        ),
        "faces": Command(
            "List the people of a photo or clip, numbered for --pick.",
            "find_faces",
            {"-o": "--output"},
        ),
        "verify": Command("Say whether a file is a signed face swap.", "verify"),
        "ui": Command("Swap, verify and look at results in a browser.", "ui"),
        "demo": Command("Swap a face in a clip that is in the package.", "demo"),
    },
    "Data": {
        "align": Command("Photos to aligned crops.", "crop_align", _FOLDERS),
        "outliers": Command("Find photos that show somebody else.", "outliers"),
        "shard": Command("Aligned crops to TFRecords.", "dataset_sharding", _FOLDERS),
        "shards": Command("Look into TFRecords.", "shards", {"-i": "--data_dir"}),
        "make-triplets": Command(
            "Edit aligned crops so that the right answer is known.",
            "make_triplets",
            _FOLDERS,
        ),
        "triplets": Command(
            "Edited photos to TFRecords.", "triplet_sharding", _FOLDERS
        ),
        "label": Command("Label photos with a face detector.", "label_faces"),
        "made-faces": Command("Draw faces for tests.", "make_faces"),
    },
    "Train": {
        "train": Command("Train a swapper.", "train", {"-i": "--data_dir"}),
        "calibrate": Command("Measure the margins of IFSR.", "calibrate_margins"),
        "distill": Command("Train a small identity encoder.", "distill_encoder"),
        "train-parser": Command("Train a face parser.", "train_parser"),
        "train-refiner": Command("Train a face refiner.", "train_refiner"),
        "train-detector": Command("Train a face detector.", "train_detector"),
    },
    "Measure": {
        "evaluate": Command(
            "Measure a swapper.", "evaluate", {"-i": "--data_dir", "-o": "--out"}
        ),
        "pairs": Command("Write a list of pairs to measure.", "make_pairs"),
        "compare": Command("Set two reports side by side.", "compare_reports"),
        "benchmark": Command("Measure the speed of a swap.", "benchmark"),
    },
    "Files of networks": {
        "weights": Command(
            "List weights, check files of them, get published ones.", "list_weights"
        ),
        "convert": Command("Convert a network's file, to .onnx too.", "convert"),
        "export": Command("Export a network to ONNX, LiteRT or OpenVINO.", "export"),
        "encoder": Command("Turn an ONNX encoder into .keras.", "onnx_encoder"),
    },
}
COMMANDS = {name: one for group in HEADINGS.values() for name, one in group.items()}


def main() -> None:
    """Starts the program that the command line names, and ends the process."""
    words = sys.argv[1:]
    if not words or usage.is_wanted(words[:1]):
        usage.show(_text() + "\n")
    if words[0] == "--version":
        usage.show(f"facedancer {facedancer.__version__}\n")
    if words[0] not in COMMANDS:
        hint = did_you_mean(words[0], COMMANDS) or "."
        _fail(f"Unknown command {words[0]}{hint} `facedancer --help` lists all")
    command, rest = COMMANDS[words[0]], words[1:]
    rest = [_long(word, command.short) for word in rest]
    program = command.program
    if words[0] == "swap":
        program, rest = _swap(rest)
    if words[0] == "convert" and any(word.endswith(".onnx") for word in rest):
        program = "portable"
    sys.argv = [f"facedancer {words[0]}", *rest]
    getattr(programs, program)()


def _text() -> str:
    lines = [
        "Face swaps: from photos to a trained network to a swapped clip, measured.",
        "",
        "Usage: facedancer COMMAND [flags]",
        "",
        *_groups(),
        "`facedancer COMMAND --help` lists the flags of one; --version tells which.",
    ]
    return "\n".join(lines)


def _groups() -> Iterator[str]:
    for heading, group in HEADINGS.items():
        yield f"{heading}:"
        yield from (f"  {name:<15} {command.help}" for name, command in group.items())
        yield ""


def _fail(text: str) -> None:
    sys.stderr.write(f"Error: {text}\n")
    sys.exit(1)


def _long(word: str, short: dict[str, str]) -> str:
    """Returns a flag with its long name; `-o=x` and `-o x` are both known."""
    name, sign, value = word.partition("=")
    return f"{short[name]}{sign}{value}" if name in short else word


def _swap(words: list[str]) -> tuple[str, list[str]]:
    """Returns the program for a target, by its content, and the words it takes."""
    target = _value_of(words, _TARGET)
    if target is None:
        if usage.is_wanted(words):
            return "swap_video", words
        _fail("Which photo or clip? Give it with -t. Received: no target")
    if _several(words):
        names = dict.fromkeys(_TARGET, "--target")
        return "swap_many", [_long(word, names) for word in words]
    from facedancer.imaging import (
        image_formats,  # imports Pillow: only where it is needed
    )

    is_photo = image_formats.is_photo(str(target))
    flag = "--img_path" if is_photo else "--vid_path"
    names = dict.fromkeys(_TARGET, flag)
    program = "swap_image" if flag == "--img_path" else "swap_video"
    return program, [_long(word, names) for word in words]


def _several(words: list[str]) -> bool:
    """Whether a command line names many sources or targets, or may do so."""
    targets = list(_values_of(words, _TARGET))
    patterns = [*targets, *_values_of(words, ("--swap_source",))]
    output = "".join(_values_of(words, ("--output",)))
    return (
        len(targets) > 1
        or any(glob.has_magic(one) and not os.path.lexists(one) for one in patterns)
        or any(word in output for word in ("{target}", "{source}"))
        or any(_values_of(words, ("--runner",)))
    )


def _value_of(words: list[str], names: tuple[str, ...]) -> str | None:
    return next(_values_of(words, names), None)


def _values_of(words: list[str], names: tuple[str, ...]) -> Iterator[str]:
    for word, following in zip(words, [*words[1:], None], strict=True):
        name, sign, value = word.partition("=")
        if name in names and (sign or following is not None):
            yield value if sign else str(following)

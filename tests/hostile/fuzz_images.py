"""Damaged photos for the programs that read photos."""

from __future__ import annotations

import json
import pathlib
from unittest import mock

import numpy as np
from PIL import Image

from facedancer.retinaface import api as retinaface_api
from facedancer.video_swap.swapping import networks
from tests.hostile import mutations, seeds
from tests.hostile.cases import Case
from tests.hostile.harness import Outcome, Places, program

PROGRAMS = ("crop_align", "dataset_sharding", "swap_image", "swap_image source")


class Images:
    """Makes cases: one damaged photo among whole ones.

    Args:
        folder: For files that all cases share.
    """

    name = "images"

    def __init__(self, folder: pathlib.Path):
        self.seeds = seeds.pictures()
        self.names = sorted(self.seeds)

    def case(self, seed: int, places: Places) -> Case:
        """Returns a case, its inputs written.

        Args:
            seed: Decides everything.
            places: Its folders.
        """
        random = np.random.default_rng([seed, 1])
        name = self.names[random.integers(len(self.names))]
        other = self.seeds[self.names[random.integers(len(self.names))]]
        data = self.seeds[name]
        if data.startswith(b"\x89PNG") and random.random() < 0.5:
            data = mutations.damage_png(data, random)
        else:
            data = mutations.damage(data, random, other)
        which = PROGRAMS[seed % len(PROGRAMS)]
        bad = places.inputs / "photos" / f"bad_{name}"
        bad.parent.mkdir()
        bad.write_bytes(data)
        make = _photo_of_swap if which.startswith("swap") else _folder_of_photos
        return make(which, bad, places)


def _folder_of_photos(which, bad, places):
    for number in range(2):
        seeds.write(bad.parent / f"good_{number}.png", seeds.face(number))
    words = [f"--data_dir={bad.parent}", f"--target_dir={places.output}"]
    if which == "crop_align":
        words += ["--im_size=32", "--min_size=16"]
        command = "crop_align"
    else:
        words += ["--num_shards=1", "--check=decode", "--identities=none"]
        command = "dataset_sharding"

    def start():
        detector = mock.patch.object(
            retinaface_api,
            "load_detector",
            lambda *args, **options: seeds.AnyDetector(),
        )
        with detector:
            program(command, words)()

    check = _check_crops if which == "crop_align" else _check_shards
    return Case(f"{which} {bad.name}", start, lambda found: check(found, places))


def _check_crops(outcome: Outcome, places: Places) -> str:
    """The good photos must have given crops, and the report must tell of the bad."""
    if outcome.status == 1:
        return "one bad photo ended the whole run"
    report = [
        json.loads(line)
        for line in (places.output / "report.jsonl").read_text().splitlines()
    ]
    told = {entry["path"]: entry["status"] for entry in report}
    good = [told.get(f"good_{number}.png") for number in range(2)]
    if good != ["done", "done"]:
        return f"the good photos are {good}"
    bad = [status for path, status in told.items() if path.startswith("bad")]
    if len(bad) != 1:
        return "the bad photo is not in the report"
    if (bad == ["unreadable"]) != (outcome.status == 2):
        return f"the bad photo is {bad}, the exit status {outcome.status}"
    crops = list(places.output.rglob("good*.jpg")) + list(
        places.output.rglob("bad*.j*")
    )
    if len(crops) != 2 + (bad == ["done"]):
        return f"{len(crops)} crops, the bad photo is {bad}"
    return ""


def _check_shards(outcome: Outcome, places: Places) -> str:
    """Two or three photos must be in the manifest, as the exit status says."""
    if outcome.status == 1:
        return "one bad photo ended the whole run"
    manifest = json.loads((places.output / "faces_train.manifest.json").read_text())
    expected = 2 if outcome.status == 2 else 3
    if manifest["count"] != expected:
        return f"{manifest['count']} photos with exit status {outcome.status}"
    if outcome.status == 2 and "Left out: " not in outcome.stdout:
        return "left out without a word"
    return ""


def _photo_of_swap(which, bad, places):
    good = seeds.write(places.inputs / "good.png", seeds.face(3))
    target, source = (good, bad) if which.endswith("source") else (bad, good)
    output = places.output / "swapped.png"
    words = [f"--img_path={target}", f"--swap_source={source}", f"--output={output}"]

    def start():
        with mock.patch.object(networks, "load_networks", seeds.loaded_networks):
            program("swap_image", words)()

    def check(outcome):
        if outcome.status == 1:
            return _refused(outcome, bad, output)
        if outcome.status == 2:
            return "a photo has no status 2"
        return _check_swapped(target, output)

    return Case(f"{which} {bad.name}", start, check)


def _refused(outcome, bad, output):
    if output.parent.exists() and any(output.parent.iterdir()):
        return "refused, and something was written"
    if str(bad) not in outcome.error:
        return f"the line names another file: {outcome.error}"
    return ""


def _check_swapped(target, output):
    with Image.open(target) as image:
        size = image.size if image.getexif().get(0x0112, 1) < 5 else image.size[::-1]
    if seeds.shown_size(output) != size:
        return f"{seeds.shown_size(output)} pixels, the photo has {size}"
    left = [path.name for path in output.parent.iterdir() if path != output]
    return f"left over: {left}" if left else ""

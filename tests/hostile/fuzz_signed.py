"""Damaged signed files for the program that says whether a file was altered."""

from __future__ import annotations

import os
import pathlib

import av
import numpy as np

from facedancer.imaging import images
from facedancer.video_swap.media import pictures
from facedancer.video_swap.provenance import labels
from tests.hostile import mutations, seeds
from tests.hostile.cases import Case
from tests.hostile.harness import answer_of, program
from tests.video_swap import made

NAMES = ("a.jpg", "b.png", "c.webp", "d.mp4", "e.gif")


class Signed:
    """Makes cases: one file that was signed, then damaged.

    Args:
        folder: For files that all cases share.
    """

    name = "signed"

    def __init__(self, folder: pathlib.Path):
        self.folder = folder / "signed"
        if not answer_of(lambda: _sign_files(self.folder), 300.0):
            raise RuntimeError("the signed files could not be made")

    def case(self, seed: int, places) -> Case:
        """Returns a case, its inputs written.

        Args:
            seed: Decides everything.
            places: Its folders.
        """
        random = np.random.default_rng([seed, 6])
        name = NAMES[seed % len(NAMES)]
        whole, bad = self.folder / name, places.inputs / name
        beside = self.folder / f"{name}.provenance.json"
        if beside.exists():
            (places.inputs / beside.name).write_bytes(beside.read_bytes())
        other = self.folder / NAMES[random.integers(len(NAMES))]
        bad.write_bytes(
            mutations.damage(whole.read_bytes(), random, other.read_bytes())
        )

        def check(outcome):
            if outcome.status:
                return ""
            shown = answer_of(lambda: _pixels(bad) == _pixels(whole))
            return "" if shown else "said to be intact, and it shows something else"

        return Case(f"verify {name}", program("verify", [bad]), check, finds=True)


def _sign_files(folder):
    folder.mkdir()
    # where the cases look too, so that they know their own signature
    os.environ["XDG_CONFIG_HOME"] = str(folder.parent / "config")
    labeller = labels.Labeller(labels.LabelSettings())
    source = seeds.write(folder / "source.png", seeds.face())
    for name in NAMES:
        path = folder / name
        if name.endswith(".mp4"):
            made.write_clip(path, [seeds.face(n) for n in range(5)])
        elif name.endswith(".gif"):
            pictures.write_animation(path, [(seeds.face(n), 40) for n in range(5)])
        else:
            seeds.write(path, seeds.face(2))
        labeller.sign(path, source, path)
    return True


def _pixels(path):
    """Returns all pixels that a file shows, as bytes."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            shown = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    elif path.suffix == ".gif":
        shown = [frame.image for frame in pictures.PictureReader(path)]
    else:
        shown = [images.read_image(path)]
    return b"".join(image.tobytes() for image in shown)

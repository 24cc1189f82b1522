"""Edits photos so that the right answer of a swap is known: triplets for a training.

    facedancer make-triplets --data_dir=aligned/ --target_dir=edits/ --count=500
    facedancer triplets --data_dir=edits/ --target_dir=triplets/

Of aligned crops, in folders of one person each, it writes `KIND/PERSON/NAME.original.*`
and `NAME.edited.png`, as `facedancer triplets` packs them. Kinds are `edited_target`
(the face swapped to somebody else's by a generator that swaps already; right is the
photo itself: ReliableSwap, Yuan et al. 2023; DreamID, Ye et al. 2025), `beard`,
`forehead_hair`, `glasses`, `sunglasses` (parts of made faces) and `occluder` (a piece
of another photo). The same flags give the same files; started again after it was
stopped, the program does what is missing.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from facedancer import cli
from facedancer.dataset.edits import candidates, occluders, parts, swaps
from facedancer.dataset.jobs import own_folder, report
from facedancer.dataset.photos import listing
from facedancer.errors import InputError
from facedancer.face.alignment import Alignment
from facedancer.flags.settings import Checked, choice, ranged, setting
from facedancer.imaging import images
from facedancer.process import progress
from facedancer.storage import claims, files

SWAPPED, OCCLUDED = "edited_target", "occluder"
KINDS = (SWAPPED, *parts.PARTS, OCCLUDED)


@dataclasses.dataclass(frozen=True)
class MakeTripletSettings(Checked):
    """What is edited, and how.

    Attributes:
        data_dir: Aligned crops as crop_align writes them, one folder a person.
        target_dir: Where the edits go.
        count: Edited copies of each kind; fewer if there are fewer photos.
        kinds: Kinds of edits.
        generator_path: Generator of edited_target, .onnx (by facedancer convert);
            empty: the packaged one.
        arcface_path: Its identity encoder; empty: the packaged one.
        max_yaw: Largest turn of a face to a side that gets a part, in degrees.
        seed: Of everything.

    Raises:
        ValueError: If a value is out of its range.
    """

    data_dir: str = setting(essential=True)
    target_dir: str = setting(essential=True)
    count: int = ranged(200, low=1)
    kinds: tuple[str, ...] = choice(KINDS, KINDS)
    generator_path: str = ""
    arcface_path: str = ""
    max_yaw: float = ranged(25.0, low=0.0, high=90.0)
    seed: int = ranged(0, low=0)


def main(settings: MakeTripletSettings) -> int:
    """Runs the program.

    Args:
        settings: What the flags say.

    Returns:
        0 when all is written, 2 when some photos could not be edited.

    Raises:
        InputError: If there is no photo that can be edited, or the target folder holds
            edits made with other flags.
    """
    with claims.claimed(settings.target_dir, folder=True):
        written = write_edits(settings, show_progress=True)
    for kind, number in written.items():
        print(f"{kind}: {number} in {settings.target_dir}")
    failed = [e for e in report.read_report(settings.target_dir) if e["why"]]
    for entry in failed[:20]:
        print(f"Left out: {entry['why']}")
    if not any(written.values()):
        raise InputError(f"{settings.data_dir}: no photo in it could be edited")
    return cli.PARTIAL if failed else cli.DONE


def write_edits(
    settings: MakeTripletSettings, show_progress: bool = False
) -> dict[str, int]:
    """Writes the edits that are missing; returns how many there are of each kind.

    Args:
        settings: What and how.
        show_progress: Show a bar with rate and time left.

    Raises:
        InputError: If there are no photos, or the target folder holds other edits.
    """
    aligned = report.alignment_of(settings.data_dir) or Alignment()
    _claim_target(settings, aligned)
    photos = candidates.read(settings.data_dir, aligned)
    planned = list(_plan(settings, photos))
    names = sorted({edit.path for edit in planned}, key=listing.order)
    kept = report.Report(os.path.join(settings.target_dir, report.NAME), names)
    done = dict(zip(names, [e is not None for e in kept.entries()], strict=True))
    todo = [edit for edit in planned if not done[edit.path]]
    editor = Editor(settings, photos, aligned)
    bar = progress.bar(todo, unit="photo", shown=show_progress)
    with bar:
        for edit in bar:
            kept.append([editor.write(edit)])
    kept.finish()
    counts = dict.fromkeys(settings.kinds, 0)
    for entry in report.read_report(settings.target_dir):
        counts[entry["kind"]] += entry["status"] == "done"
    return counts


@dataclasses.dataclass(frozen=True)
class Edit:
    """One edited copy.

    Attributes:
        kind: Of `KINDS`.
        photo: Number of the photo.
        other: Number of another person's photo: whose face or pixels it gets.
        path: `KIND/PERSON/NAME`, without the ending.
        number: Of the edit in its kind.
    """

    kind: str
    photo: int
    other: int
    path: str
    number: int


def _plan(settings: MakeTripletSettings, photos: candidates.Photos) -> Iterator[Edit]:
    """Yields what is to be made; the first photos do not depend on the count."""
    for kind in settings.kinds:
        random = np.random.default_rng([settings.seed, KINDS.index(kind)])
        if kind == SWAPPED:
            rows = photos.of_people_with_two(random)
        elif kind == OCCLUDED:
            rows = random.permutation(len(photos.paths)).tolist()
        else:
            rows = photos.turned_less(settings.max_yaw, random)
        for number, row in enumerate(rows[: settings.count]):
            stem = os.path.splitext(photos.paths[row])[0]
            other = photos.of_another(row, random)
            yield Edit(kind, row, other, f"{kind}/{stem}", number)


class Editor:
    """Makes and writes edits.

    Args:
        settings: What and how.
        photos: What there is to edit.
        aligned: How it is aligned.
    """

    def __init__(
        self,
        settings: MakeTripletSettings,
        photos: candidates.Photos,
        aligned: Alignment,
    ) -> None:
        self._settings, self._photos = settings, photos
        self._changer = None
        if SWAPPED in settings.kinds:
            self._changer = swaps.FaceChanger(
                settings.generator_path, settings.arcface_path, aligned
            )

    def write(self, edit: Edit) -> dict:
        """Writes one edit; returns its line of the report.

        Args:
            edit: Which.
        """
        line = {"path": edit.path, "kind": edit.kind, "status": "done", "why": ""}
        line |= {"other": self._photos.paths[edit.other]}
        try:
            photo = self._photos.image(edit.photo)
            edited = self._edited(edit, photo)
        except InputError as error:
            return line | {"status": "unreadable", "why": str(error)}
        source = pathlib.Path(self._settings.data_dir, self._photos.paths[edit.photo])
        output = os.path.join(self._settings.target_dir, edit.path)
        files.write_atomic(f"{output}.original{source.suffix}", source.read_bytes())
        # Without a loss, so that what is not edited equals the photo.
        images.write_image(f"{output}.edited.png", edited)
        return line

    def _edited(self, edit: Edit, photo: np.ndarray) -> np.ndarray:
        kind = KINDS.index(edit.kind)
        random = np.random.default_rng([self._settings.seed, kind, edit.number])
        landmarks = self._photos.landmarks[edit.photo]
        if edit.kind in parts.PARTS:
            return parts.PARTS[edit.kind](photo, landmarks, random).over(photo)
        other = images.resize(self._photos.image(edit.other), photo.shape[0])
        if self._changer is not None and edit.kind == SWAPPED:
            return self._changer.change(photo, landmarks, other, random)
        return occluders.occluder(photo, landmarks, other, random).over(photo)


def _claim_target(settings: MakeTripletSettings, aligned: Alignment) -> None:
    values = dataclasses.asdict(settings)
    wanted = {k: v for k, v in values.items() if k not in ("data_dir", "target_dir")}
    # The alignment under the names by which packing asks for it.
    wanted |= {"template": aligned.template, "shrink_factor": aligned.shrink}
    noted = {"settings": wanted}
    own_folder.claim(settings.target_dir, report.SUMMARY, noted, "edits")


if __name__ == "__main__":
    cli.run(main, MakeTripletSettings)

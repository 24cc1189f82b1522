"""Aligned crops that can be edited: where they lie, whom they show, their landmarks."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from facedancer.dataset.jobs import report
from facedancer.dataset.photos import listing
from facedancer.errors import InputError
from facedancer.face import alignment, pose
from facedancer.imaging import images


@dataclasses.dataclass(frozen=True)
class Photos:
    """Aligned crops.

    Attributes:
        data_dir: Their folder.
        paths: Below it, `PERSON/NAME.jpg`.
        landmarks: `(n, 5, 2)` pixels of each.
    """

    data_dir: str
    paths: list[str]
    landmarks: np.ndarray

    def image(self, row: int) -> np.ndarray:
        """Returns a crop, `(size, size, 3)` uint8 RGB.

        Args:
            row: Its number.

        Raises:
            InputError: If it cannot be read, or is not square.
        """
        path = os.path.join(self.data_dir, self.paths[row])
        image = images.read_image(path)
        if image.shape[0] != image.shape[1]:
            raise InputError(
                f"{path}: aligned crops are square. Received: {image.shape[1]}x"
                f"{image.shape[0]} pixels. Align the photos first (facedancer align)"
            )
        return image

    def person(self, row: int) -> str:
        """Returns the folder of a crop, which is one person's.

        Args:
            row: Its number.
        """
        return listing.parent(self.paths[row])

    def of_people_with_two(self, random: np.random.Generator) -> list[int]:
        """Returns crops of people with two or more, person after person.

        Args:
            random: Decides the order of the people.
        """
        by_person: dict[str, list[int]] = {}
        for row in range(len(self.paths)):
            by_person.setdefault(self.person(row), []).append(row)
        people = [rows for rows in by_person.values() if len(rows) > 1]
        order = random.permutation(len(people)).tolist()
        # Not more than four of one, so that there are many people.
        return [row for number in order for row in people[number][:4]]

    def turned_less(self, degrees: float, random: np.random.Generator) -> list[int]:
        """Returns crops of faces that look ahead, in random order.

        Args:
            degrees: Largest turn to a side.
            random: Decides the order.
        """
        order = random.permutation(len(self.paths)).tolist()
        turns = [pose.solve_pose(self.landmarks[row])[0] for row in order]
        return [
            row
            for row, turn in zip(order, turns, strict=True)
            if np.isfinite(turn) and abs(turn) <= degrees
        ]

    def of_another(self, row: int, random: np.random.Generator) -> int:
        """Returns a crop of another person, each as likely.

        Args:
            row: Whose other it is to be.
            random: Decides which.
        """
        own = self.person(row)
        start = int(random.integers(len(self.paths)))
        order = range(start, start + len(self.paths))
        found = (at % len(self.paths) for at in order)
        return next(at for at in found if self.person(at) != own)


def read(data_dir: str, aligned: alignment.Alignment) -> Photos:
    """Returns the crops of a folder.

    Args:
        data_dir: What `crop_align` wrote; of other folders of aligned crops the
            landmarks are taken to be those of the template.
        aligned: How they are aligned.

    Raises:
        InputError: If there are none, or none of a second person.
    """
    known = {
        face["output"]: face["crop_landmarks"]
        for entry in report.read_report(data_dir)
        for face in entry.get("faces", ())
        if face.get("crop_landmarks") and face.get("output")
    }
    paths = listing.list_photos(data_dir)
    people = {listing.parent(path) for path in paths}
    if len(people) < 2:
        raise InputError(
            f"{data_dir}: edits need photos of two people or more, in a folder each. "
            f"Received: {len(paths)} photos in {len(people)} folders"
        )
    found = Photos(data_dir, paths, np.zeros((len(paths), 5, 2)))
    for row, path in enumerate(paths):
        if path in known:
            found.landmarks[row] = known[path]
        else:
            found.landmarks[row] = aligned.landmarks(found.image(row).shape[0])
    return found

"""Which face of a photo is meant, where there are several."""

from __future__ import annotations

import numpy as np

from facedancer.errors import InputError
from facedancer.face.faces import Faces
from facedancer.video_swap.settings import face_number

_IN_WORDS = {
    "main": "the largest near the middle",
    "best": "the one found most surely",
    "left": "the leftmost",
    "right": "the rightmost",
    "top": "the uppermost",
    "bottom": "the lowest",
}


def pick(faces: Faces, size: tuple[int, int], which: str, name: str) -> int:
    """Returns the place of the face that is meant.

    Args:
        faces: At least one.
        size: Height and width of the photo.
        which: See `settings.check_face`. `main` is the largest near the middle: its
            area counts less the farther it lies from there, at the edge a good third.
        name: Of the photo, for the message.

    Raises:
        InputError: If the number is larger than that of the faces.
    """
    number = face_number(which)
    order = from_left(faces)
    if number:
        if number > len(faces):
            raise InputError(
                f"{name}: --source_face must be a number from 1 to {len(faces)} here. "
                f"Received: {which}. From the left: {listed(faces)}"
            )
        return int(order[number - 1])
    x, y = _centres(faces).T
    middle = np.exp(-((x / size[1] * 2 - 1) ** 2) - (y / size[0] * 2 - 1) ** 2)
    keys = {
        "main": faces.areas * middle,
        "largest": faces.areas,
        "best": faces.scores,
        "left": -x,
        "right": x,
        "top": -y,
        "bottom": y,
    }
    return int(np.argmax(keys[which]))


def from_left(faces: Faces) -> np.ndarray:
    """Returns the places of faces in their order from the left.

    Args:
        faces: The faces.
    """
    return np.argsort(_centres(faces)[:, 0], kind="stable")


def _centres(faces: Faces) -> np.ndarray:
    return (faces.boxes[:, :2] + faces.boxes[:, 2:] + 1.0) / 2.0


def listed(faces: Faces) -> str:
    """Returns the faces from the left in words: number, size and place in pixels.

    Args:
        faces: The faces.
    """
    centres, sides = _centres(faces), faces.sides
    return ", ".join(
        f"{number}: {sides[i]:.0f} px at ({centres[i, 0]:.0f}, {centres[i, 1]:.0f})"
        for number, i in enumerate(from_left(faces), 1)
    )


def note(faces: Faces, taken: int, which: str, name: str) -> str:
    """Returns which of several faces was taken, in words; "" where there is but one.

    Args:
        faces: The faces.
        taken: Place of the one that was taken.
        which: See `settings.check_face`.
        name: Of the photo.
    """
    if len(faces) < 2:
        return ""
    number = from_left(faces).tolist().index(taken) + 1
    return (
        f"{name}: {len(faces)} faces, number {number} from the left was taken "
        f"({in_words(which)}). From the left: {listed(faces)}"
    )


def in_words(which: str) -> str:
    """Returns a choice in words.

    Args:
        which: See `settings.check_face`.
    """
    if face_number(which):
        return f"number {which} from the left"
    return _IN_WORDS.get(which, f"the {which}")

"""Previews and swaps of a session, by the same `Swapper` as everywhere."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from facedancer.errors import InputError
from facedancer.imaging import image_formats, images
from facedancer.ui.session.sessions import Session
from facedancer.video_swap.api_results import Identity
from facedancer.video_swap.clips import examining
from facedancer.video_swap.clips.people import Person
from facedancer.video_swap.media import pictures, video_reader

CONSENT = (
    "Everybody whose face is put in, and everybody who is seen in the photo or clip, "
    "has agreed to it; nobody of them is a minor; and the result will not be passed "
    "off as real. It is labelled as made."
)
_ANIMATIONS = (".gif", ".webp")


class Stopped(Exception):
    """The user ended the swap."""


@dataclasses.dataclass(frozen=True)
class Swapped:
    """What a swap gave.

    Attributes:
        path: The file.
        moves: Whether it is a clip.
        words: What was done, and what the file says of itself, one line each.
    """

    path: pathlib.Path
    moves: bool
    words: tuple[str, ...]


def check_ready(session: Session) -> pathlib.Path:
    """Returns the target, if everything is there that a swap needs.

    Args:
        session: Of the page.

    Raises:
        InputError: If something is missing.
    """
    if session.target is None:
        raise InputError("Choose the photo or clip that is to be changed first")
    if not session.sources:
        raise InputError("Add a photo of whose face is to be put in first")
    if all(index is None for index in session.becomes.values()):
        raise InputError("Nobody is to be swapped. Click a face and say who it becomes")
    if not session.agreed:
        raise InputError("Read the sentence about consent and tick it first")
    return session.target


def frame_at(path: pathlib.Path, seconds: float) -> np.ndarray:
    """Returns one picture of a photo or clip, `(height, width, 3)` uint8 RGB.

    Args:
        path: The file or, of pictures, the folder.
        seconds: From the beginning of a clip; of a photo nothing.

    Raises:
        InputError: If it cannot be read, or ends before.
    """
    if image_formats.is_photo(path):
        return images.read_image(path)
    reader: pictures.ClipReader
    if pictures.is_picture(path):
        reader = pictures.PictureReader(path, start=seconds)
    else:
        reader = video_reader.VideoReader(path, start=seconds, hdr_mode="convert")
    return next(iter(reader)).image


def length_of(path: pathlib.Path, people: list[Person]) -> float:
    """Returns up to when somebody is seen in a clip, in seconds; 0 for a photo.

    Args:
        path: The file.
        people: Whoever is seen in it.
    """
    if image_formats.is_photo(path):
        return 0.0
    return max((end for one in people for _, end in one.times), default=0.0)


def preview(
    session: Session, seconds: float, settings: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns one picture of the target and the same swapped.

    Args:
        session: Of the page.
        seconds: Which picture of a clip.
        settings: As `Swapper.with_settings` takes them.

    Raises:
        InputError: If something is missing, or the picture shows nobody to be swapped.
    """
    target = check_ready(session)
    with session.lock:
        swapper = session.swapper.with_settings(**settings)
        image = frame_at(target, seconds)
        return image, swapper.swap(image, **_who(session)).image


def swap(
    session: Session,
    settings: Mapping[str, Any],
    on_progress: Callable[[int, int | None], object],
) -> Swapped:
    """Returns the swapped photo or clip, signed, in the folder of the session.

    Args:
        session: Of the page.
        settings: As `Swapper.with_settings` takes them.
        on_progress: Called with finished and all frames, None if that is not known.

    Raises:
        InputError: If something is missing, or the swap fails.
        Stopped: If the user ended it.
    """
    target = check_ready(session)
    with session.lock:
        session.stopped.clear()
        swapper = session.swapper.with_settings(**settings)
        if image_formats.is_photo(target):
            output = session.place(f"{target.stem}_swapped.png")
            photo = swapper.swap(target, **_who(session))
            photo.save(output)
            count = sum(photo.swapped)
            done = f"{count} of {len(photo.faces)} faces were swapped."
            words: tuple[str, ...] = (done, photo.provenance)
        else:
            ending = _ending(target)
            output = session.place(f"{target.stem}_swapped{ending}")
            clip = swapper.swap_video(
                target,
                output=output,
                on_progress=_until_stopped(session, on_progress),
                **_who(session),
            )
            done = f"{clip.faces_swapped} faces in {clip.frames} frames were swapped."
            words = (done, *clip.notes, clip.provenance)
        session.result = output
        told = (
            *filter(None, words),
            *examining.in_words(examining.examine(str(output)))[1:],
        )
        return Swapped(output, not image_formats.is_photo(target), told)


def _ending(target: pathlib.Path) -> str:
    ending = target.suffix.lower()
    return ending if ending in _ANIMATIONS else ".mp4"


def _until_stopped(
    session: Session, on_progress: Callable[[int, int | None], object]
) -> Callable[[int, int | None], None]:
    def told(done: int, total: int | None) -> None:
        if session.stopped.is_set():
            raise Stopped
        on_progress(done, total)

    return told


def _who(session: Session) -> dict[str, Any]:
    """Returns who becomes whom, as `Swapper` takes it."""
    indices = set(session.becomes.values())
    if len(indices) == 1:
        (index,) = indices
        return {"source": session.sources[index or 0].identity}
    encoder = session.swapper.names["encoder"]
    pairs = []
    for person in session.people:
        index = session.becomes[person.number]
        who = Identity(person.vector, encoder, f"person {person.number}")
        goal = None if index is None else session.sources[index].identity
        pairs.append((who, goal))
    return {"people": pairs}

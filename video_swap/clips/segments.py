"""The finished part of a clip on disk: segments, and what a later run needs."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from facedancer.errors import InputError
from facedancer.face.faces import Faces
from facedancer.storage import files, untrusted
from facedancer.video_swap.media import video_reader, video_writer

if TYPE_CHECKING:
    from facedancer.video_swap.clips.clip_stages import Step

_STATE = "state.json"


def parts_folder(output: str | os.PathLike) -> pathlib.Path:
    """Returns the folder beside an output in which its segments are made.

    Args:
        output: The file that will be written.
    """
    output = pathlib.Path(output)
    return output.with_name(f".{output.name}.parts")


class SegmentSink:
    """Takes finished steps and writes them to segments.

    Beside each segment lie the faces found in its frames. A segment counts as finished
    when the state file names it, which is written last.

    Args:
        folder: Where the segments are made.
        fingerprint: Text that decides whether an earlier run made the same.
        info: The clip, with the size that is written.
        colour: Colours to encode in.
        settings: How to encode.
        resume: Whether to go on with what is there.

    Raises:
        InputError: If the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        fingerprint: str,
        info: video_reader.ClipInfo,
        colour: video_reader.Colour,
        settings: video_writer.EncodeSettings,
        resume: bool = False,
    ) -> None:
        self.folder = pathlib.Path(folder)
        self.info, self.colour, self.settings = info, colour, settings
        self.fingerprint = hashlib.sha256(os.fsencode(fingerprint)).hexdigest()
        state = self._earlier() if resume else None
        if state is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            state = {"fingerprint": self.fingerprint, "segments": []}
        self.state = state
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
        self.encoder: video_writer.SegmentEncoder | None = None
        self.current: list = []
        self.cache: tuple[int, list] = (-1, [])

    def _earlier(self) -> dict | None:
        try:
            state = json.loads((self.folder / _STATE).read_text())
        except (OSError, ValueError):
            return None
        if not isinstance(state, dict) or state.get("fingerprint") != self.fingerprint:
            return None
        entries = state["segments"]
        if entries and entries[-1]["frames"] < self.settings.segment_frames:
            entries.pop()  # Ctrl-C may have ended it; it is made anew
        return state

    @property
    def segments(self) -> list[pathlib.Path]:
        """The finished segments in order."""
        return [self._path(i) for i in range(len(self.state["segments"]))]

    @property
    def finished_frames(self) -> int:
        """Number of frames in the finished segments."""
        return sum(entry["frames"] for entry in self.state["segments"])

    @property
    def entries(self) -> list[dict]:
        """What was noted of each finished segment."""
        return self.state["segments"]

    def _path(self, number: int) -> pathlib.Path:
        ending = self.settings.segment_ending(self.info.alpha)
        return self.folder / f"segment_{number:05d}{ending}"

    def known(self, index: int) -> tuple[Faces, np.ndarray | None] | None:
        """Returns the faces of a frame that is finished, None for others.

        Args:
            index: Number of the frame.
        """
        number = index // self.settings.segment_frames
        if index >= self.finished_frames:
            return None
        if self.cache[0] != number:
            self.cache = (number, _read_faces(self._path(number).with_suffix(".npz")))
        return self.cache[1][index - number * self.settings.segment_frames]

    def write(self, step: Step) -> None:
        """Takes a finished step; one of an earlier run is passed over.

        Args:
            step: A `clip_stages.Step` with its finished picture.

        Raises:
            InputError: If the disk is full or the encoder refuses.
        """
        if step.known:
            return
        try:
            self._write(step)
        except (OSError, av.error.FFmpegError) as error:
            raise InputError(
                f"{self.folder}: the picture cannot be written "
                f"({error.strerror or error})"
            ) from None

    def _write(self, step: Step) -> None:
        if self.encoder is None:
            self.encoder = video_writer.SegmentEncoder(
                self._path(len(self.segments)).with_suffix(".tmp"),
                self.info,
                self.colour,
                self.settings,
            )
        frame = step.frame
        self.encoder.write(dataclasses.replace(frame, picture=step.finished))
        self.current.append(entry_of(step))
        if (frame.index + 1) % self.settings.segment_frames == 0:
            self._finish(self.encoder)

    def close(self) -> None:
        """Finishes the last segment.

        Raises:
            InputError: If the disk is full.
        """
        if self.encoder is None:
            return
        try:
            self._finish(self.encoder)
        except (OSError, av.error.FFmpegError) as error:
            raise InputError(
                f"{self.folder}: the picture cannot be written "
                f"({error.strerror or error})"
            ) from None

    def _finish(self, encoder: video_writer.SegmentEncoder) -> None:
        path = self._path(len(self.segments))
        self.encoder = None
        encoder.close()
        faces = [entry.pop("faces") for entry in self.current]
        files.write_atomic(path.with_suffix(".npz"), _faces_bytes(faces))
        os.replace(path.with_suffix(".tmp"), path)
        self.state["segments"].append(summary(self.current))
        self.current = []
        self._save()

    def _save(self) -> None:
        text = json.dumps(self.state, indent=1)
        files.write_atomic(self.folder / _STATE, text.encode())

    def abandon(self) -> None:
        """Ends an unfinished segment and drops it."""
        if self.encoder is not None:
            with contextlib.suppress(OSError, av.error.FFmpegError):
                self.encoder.close()
            self.encoder = None

    def remove(self) -> None:
        """Removes the folder with all that is in it; nothing is finished then."""
        self.abandon()
        self.state["segments"] = []
        shutil.rmtree(self.folder, ignore_errors=True)


def entry_of(step: Step) -> dict:
    """Returns what the report and a later run need to know of a finished step.

    Args:
        step: A `clip_stages.Step` with faces and jobs.
    """
    rules = [job.rule for job in step.jobs]
    return {
        "faces": (step.faces, step.embeddings),
        "found": len(step.faces),
        "swapped": len(rules),
        "filled": step.filled,
        "jitter": step.jitter,
        "rules": rules,
        "end": (step.frame.pts, step.frame.duration),
    }


def summary(entries: list[dict]) -> dict:
    """Returns the counts of several steps, ready for JSON.

    Args:
        entries: What `entry_of` gave, at least one.
    """
    rules = [rule for entry in entries for rule in entry["rules"]]
    return {
        "frames": len(entries),
        "frames_with_swap": sum(entry["swapped"] > 0 for entry in entries),
        "faces_found": sum(entry["found"] for entry in entries),
        "faces_swapped": len(rules),
        "gaps_filled": sum(entry["filled"] for entry in entries),
        "jitter": [sum(entry["jitter"][i] for entry in entries) for i in range(3)],
        "by_rule": {str(rule): rules.count(rule) for rule in sorted(set(rules))},
        "end": list(entries[-1]["end"]),
    }


def last_duration(sink: SegmentSink) -> Fraction:
    """Returns how many seconds the last picture is shown.

    Args:
        sink: A sink with at least one finished segment.
    """
    return sink.entries[-1]["end"][1] * sink.info.time_base


def _faces_bytes(found: Sequence[tuple[Faces, np.ndarray | None]]) -> bytes:
    """Packs the faces of frames; exact, so that a later run sees the same numbers."""
    arrays: dict[str, Any] = {"counts": np.array([len(faces) for faces, _ in found])}
    for name in ("boxes", "landmarks", "scores"):
        arrays[name] = np.concatenate([getattr(faces, name) for faces, _ in found])
    if found[0][1] is not None:
        arrays["embeddings"] = np.concatenate([vectors for _, vectors in found])
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


def _read_faces(path: pathlib.Path) -> list[tuple[Faces, np.ndarray | None]]:
    arrays = untrusted.load_arrays(path)
    ends = np.cumsum(arrays["counts"])
    slices = [
        slice(end - n, end) for end, n in zip(ends, arrays["counts"], strict=True)
    ]
    vectors = arrays.get("embeddings")
    faces = Faces(arrays["boxes"], arrays["landmarks"], arrays["scores"])
    return [
        (faces[part], None if vectors is None else vectors[part]) for part in slices
    ]

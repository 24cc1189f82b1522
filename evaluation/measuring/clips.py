"""Measures a swapped video against its target video, frame by frame."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np

from facedancer.arcface_model import cosine
from facedancer.errors import InputError
from facedancer.evaluation.inputs.locating import Locator
from facedancer.evaluation.inputs.photos import Face, Photo
from facedancer.evaluation.instruments.instruments import Instrument
from facedancer.evaluation.measuring.figures import Metric
from facedancer.evaluation.measuring.swappers import Swapper
from facedancer.evaluation.metrics import bootstrap, flicker
from facedancer.face import outlines
from facedancer.process import progress
from facedancer.video_swap.media.video_reader import VideoReader

_CUT = 30.0  # warped difference of the target, steps of 255, from which it is a cut


@dataclasses.dataclass
class ClipMeasured:
    """What was measured of a video; every array has one row a frame.

    Attributes:
        swapped_flicker: Warped difference to the next frame, NaN where there is none.
        target_flicker: The same of the target.
        swapped: `(n, d)` embeddings, NaN where no face is found.
        target: `(n, d)` embeddings.
        source: `(d,)` of the source; None if unknown.
        found: Whether a face is found in the result, among frames where the target
            has one; NaN in others.
        unchanged: Share of face pixels left as they were.
    """

    swapped_flicker: np.ndarray
    target_flicker: np.ndarray
    swapped: np.ndarray
    target: np.ndarray
    source: np.ndarray | None
    found: np.ndarray
    unchanged: np.ndarray


def read_both(
    target: str | os.PathLike, swapped: str | os.PathLike
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the frames of two videos side by side.

    Args:
        target: The video that was changed.
        swapped: The result.

    Raises:
        InputError: If one cannot be read, or they differ in size or length.
    """
    readers = [VideoReader(path, hdr_mode="convert") for path in (target, swapped)]
    if readers[0].info.size_wh != readers[1].info.size_wh:
        raise InputError(
            "Both videos must have the same size. "
            f"Received: {readers[0].info.size_wh} and {readers[1].info.size_wh}"
        )
    for index, (a, b) in enumerate(itertools.zip_longest(*readers)):
        if a is None or b is None:
            raise InputError(
                f"Both videos must have the same frames; one ends after {index}"
            )
        yield a.image, b.image


def swap_frames(
    target: str | os.PathLike, swapper: Swapper, source: Face, locator: Locator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the frames of a video and what a swapper makes of them.

    Args:
        target: The video.
        swapper: With `swap(sources, targets)`.
        source: Who is put in.
        locator: Finds the faces.

    Raises:
        InputError: If the video cannot be read.
    """
    for frame in VideoReader(target, hdr_mode="convert"):
        photo = Photo.of_pixels(f"frame {frame.index}", frame.image)
        face = locator.largest([photo])[0]
        made = frame.image if face is None else swapper.swap([source], [face])[0]
        yield frame.image, made


def measure(
    frames: Iterable[tuple[np.ndarray, np.ndarray]],
    locator: Locator,
    judge: Instrument | None,
    source: np.ndarray | None = None,
) -> ClipMeasured:
    """Returns the measurements of a video.

    Args:
        frames: Iterable of target frame and swapped frame, uint8 RGB.
        locator: Finds the faces.
        judge: Gives identity vectors; None leaves identity out.
        source: `(d,)` of the source by the judge; None if unknown.

    Raises:
        InputError: If the target never shows a face.
    """
    rows, last = [], None
    for target, swapped in progress.bar(frames, unit="frame", desc="video"):
        row = _measure_frame(target, swapped, locator, judge)
        if last is not None and last["face"] is not None:
            row_before = rows[-1]
            row_before["flicker"] = _flicker(last, (target, swapped))
        rows.append(row)
        last = {"face": row["face"], "frames": (target, swapped)}
    if not any(row["face"] is not None for row in rows):
        raise InputError("The target video shows no face")
    return _collect(rows, source)


def _measure_frame(
    target: np.ndarray,
    swapped: np.ndarray,
    locator: Locator,
    judge: Instrument | None,
) -> dict[str, Any]:
    photos = [Photo.of_pixels("target", target), Photo.of_pixels("swapped", swapped)]
    face = locator.largest(photos[:1])[0]
    row = {"face": face, "flicker": (np.nan, np.nan)}
    if face is None:
        return row
    made = locator.nearest(photos[1:], [face], keep=False)[0]
    vectors = [np.full(1, np.nan, np.float32)] * 2
    if judge is not None:
        vectors = [
            judge.run(judge.cut(one.photo.read(), one)[None])[0] for one in (face, made)
        ]
    near = np.abs(target.astype(np.int16) - swapped).max(axis=2) <= 2
    mask = _mask(face, target.shape)
    return row | {
        "target": vectors[0],
        "swapped": vectors[1] if made.found else np.full_like(vectors[1], np.nan),
        "found": made.found,
        "unchanged": float(near[mask > 0].mean()) if mask.any() else np.nan,
    }


def _mask(face: Face, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.float32)
    outline = outlines.face_outline(np.asarray(face.landmarks, np.float64))
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1.0)
    return mask


def _flicker(
    last: dict[str, Any], frames: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """Compares the last frames with the next ones, around the last face."""
    face, (target, swapped) = last["face"], last["frames"]
    mask = _mask(face, target.shape)
    centre, side = (face.box[:2] + face.box[2:]) / 2, np.ptp(face.box.reshape(2, 2), 0)
    low = np.maximum(np.floor(centre - side), 0).astype(int)
    high = np.ceil(centre + side).astype(int) + 1
    part = np.s_[low[1] : high[1], low[0] : high[0]]
    if min(mask[part].shape) < 16 or not mask[part].any():
        return (np.nan, np.nan)
    made, own = flicker.flicker_pair(
        (swapped[part], frames[1][part]), (target[part], frames[0][part]), mask[part]
    )
    return (np.nan, np.nan) if own > _CUT else (made, own)


def _collect(rows: list[dict[str, Any]], source: np.ndarray | None) -> ClipMeasured:
    size = next(len(row["target"]) for row in rows if row["face"] is not None)
    none = {
        "target": np.full(size, np.nan),
        "swapped": np.full(size, np.nan),
        "found": np.nan,
        "unchanged": np.nan,
    }
    rows = [none | row for row in rows]
    columns = {
        name: np.stack([np.asarray(row[name], np.float64) for row in rows])
        for name in ("flicker", *none)
    }
    both = columns.pop("flicker")
    return ClipMeasured(
        swapped_flicker=both[:, 0], target_flicker=both[:, 1], source=source, **columns
    )


def figures(measured: ClipMeasured, judge_name: str, seed: int = 0) -> list[Metric]:
    """Returns the figures of a video.

    Args:
        measured: What was measured.
        judge_name: Of the encoder.
        seed: Of the intervals.
    """
    known = np.isfinite(measured.swapped).all(axis=1)
    flow = "dense optical flow of the target"
    apart = measured.swapped_flicker - measured.target_flicker
    rows = [
        ("flicker", "flicker beyond the target's own (of 255)", "lower", apart, flow),
        ("flicker_target", "the target's own", "", measured.target_flicker, flow),
        ("found", "frames whose face is found", "higher", measured.found, "detector"),
        ("unchanged", "face pixels left as they were", "", measured.unchanged, ""),
    ]
    if known.any():
        rows += _identity_rows(measured, known, judge_name)
    percent = ("found", "unchanged", "reverted")
    found = []
    for key, text, better, values, by in rows:
        unit = "%" if key in percent else ""
        values = np.asarray(values) * (100.0 if unit else 1.0)
        estimate = bootstrap.mean_of_blocks(values, seed=seed)
        found.append(Metric(f"video_{key}", "Video", text, unit, better, estimate, by))
    return found


def _identity_rows(
    measured: ClipMeasured, known: np.ndarray, by: str
) -> list[tuple[str, str, str, np.ndarray, str]]:
    spread = np.full(len(known), np.nan)
    spread[known] = flicker.distances_from_mean(measured.swapped[known])
    own = np.full(len(known), np.nan)
    own[known] = flicker.distances_from_mean(measured.target[known])
    text = "identity's distance from its mean"
    rows = [
        ("identity_spread", text, "lower", spread, by),
        ("identity_spread_target", "the target's own", "", own, by),
    ]
    if measured.source is None:
        return rows
    back = np.full(len(known), np.nan)
    back[known] = flicker.reverted(
        measured.swapped[known], measured.target[known], measured.source
    )
    likeness = np.full(len(known), np.nan)
    likeness[known] = cosine(measured.swapped[known], measured.source)
    return [
        *rows,
        (
            "reverted",
            "frames nearer to the target than to the source",
            "lower",
            back,
            by,
        ),
        ("id_source", "cosine with the source", "higher", likeness, by),
    ]

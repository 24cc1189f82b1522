"""Photos -> aligned crops: which faces, how they are cut, what is said about each.

A photo that gives no crop is no error here: its result says why.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from facedancer.dataset.photos import clips, quality
from facedancer.errors import InputError
from facedancer.face import alignment, pose, rotated_search
from facedancer.face.faces import Faces
from facedancer.face.photo_search import search_photos
from facedancer.flags.settings import Checked, choice, ranged, setting
from facedancer.imaging import image_formats, images

CHOICES = ("largest", "best", "all", "central")
FORMATS = ("jpg", "png")
# What became of a photo. The last two are failures, the others were as asked.
STATUSES = (
    "done",
    "image_too_small",
    "no_face",
    "face_too_small",
    "blurred",
    "extreme_pose",
    "unreadable",
    "worker_died",
)
FAILURES = ("unreadable", "worker_died")
MAX_BATCH_PIXELS = 32_000_000
_MAX_BATCH = 16  # frames that are searched together


@dataclasses.dataclass(frozen=True)
class AlignSettings(Checked):
    """How faces are found, chosen and cut out.

    Attributes:
        data_dir: Folder with photos and clips, at any depth.
        target_dir: Where the crops go, in the same folders.
        im_size: Side of the crops in pixels.
        min_size: A photo is used if both its sides are larger than this, in pixels.
        shrink_factor: 1 gives crops that fit ArcFace; below 1 the face is drawn towards
            the centre by this factor, which keeps more background.
        device_id: GPU that searches for faces; -1 uses the CPU.
        retina_path: Weights of a RetinaFace; empty: what the package has.
        faces: Which faces of a photo: largest, best (score), all or central.
        score_threshold: Smallest score of a face, 0 to 1.
        min_face: Smallest longer side of a face's box in pixels.
        working_size: Longer side of the photo while it is searched.
        turned: Search photos without a face again, turned by a quarter, half and three
            quarters (scans and old phone photos without orientation).
        every: Take every n-th frame of a clip; a second has some 25 that are much
            alike.
        template: Where the landmarks go: arcface or ffhq.
        image_format: jpg, or png for crops without loss.
        quality: Of the JPEG files (chroma 4:4:4), 1 to 100.
        min_sharpness: Crops below this sharpness are dropped (0 keeps all; about 20
            drops clearly blurred ones).
        max_yaw: Faces turned to the side by more degrees are dropped (0 keeps all).
        max_pixels: Larger photos are refused without decoding them.
        num_workers: Processes, each with its own detector.
        overwrite: Begin anew if the target folder holds crops made with other settings.
        contact_sheet: Write pictures of what was dropped beside the target folder.
        split: Several sets at once, such as train=.9,test=.1: fractions of the people
            (folders of photos). Each set goes into a folder of its name in the target
            folder, and nobody is in two.
        seed: Of the split.

    Raises:
        ValueError: If a value is out of its range.
    """

    HEADINGS = {
        "data_dir": "Photos",
        "retina_path": "Search for faces",
        "template": "Crops",
        "min_sharpness": "What is dropped",
        "num_workers": "The run",
        "split": "Sets",
    }

    data_dir: str = setting(essential=True)
    target_dir: str = setting(essential=True)
    im_size: int = ranged(256, low=8, high=4096, essential=True)
    min_size: int = ranged(128, low=0)
    shrink_factor: float = ranged(1.0, low=0.05, high=1.0, essential=True)
    device_id: int = 0
    retina_path: str = setting("", essential=True)
    faces: str = choice("largest", CHOICES, essential=True)
    score_threshold: float = ranged(0.5, low=0.0, high=1.0)
    min_face: int = ranged(0, low=0)
    working_size: int = ranged(640, low=0)
    turned: bool = False
    every: int = ranged(10, low=1)
    template: str = choice("arcface", alignment.TEMPLATES, essential=True)
    image_format: str = choice("jpg", FORMATS, essential=True)
    quality: int = ranged(95, low=1, high=100)
    min_sharpness: float = ranged(0.0, low=0.0)
    max_yaw: float = ranged(0.0, low=0.0, high=90.0)
    max_pixels: int = images.MAX_PIXELS
    num_workers: int = ranged(1, low=1, high=1024, essential=True)
    overwrite: bool = setting(False, essential=True)
    contact_sheet: bool = True
    split: tuple[str, ...] = setting((), essential=True)
    seed: int = 0


def align_photos(
    tasks: list[tuple[str, str]], settings: AlignSettings, detector: Any
) -> list[dict]:
    """Writes the crops of some photos and clips and returns a report of each.

    Args:
        tasks: Relative path of the photo or clip and of its crop without ending.
        settings: How.
        detector: Has `detect_batch(images) -> list[Faces]`.
    """
    reports, batch, pixels = [], [], 0
    for path, stem in tasks:
        if not image_formats.known_ending(path):
            reports.append(_align_clip(path, stem, settings, detector))
            continue
        report, image = _read(path, settings)
        reports.append(report)
        if image is not None:
            batch.append((report, stem, image))
            pixels += image.shape[0] * image.shape[1]
        if pixels > MAX_BATCH_PIXELS:
            _search(batch, settings, detector)
            batch, pixels = [], 0
    _search(batch, settings, detector)
    return reports


def _read(path: str, settings: AlignSettings) -> tuple[dict, np.ndarray | None]:
    report: dict[str, Any] = {"path": path, "status": "done"}
    try:
        full = os.path.join(settings.data_dir, path)
        image = images.read_image(full, settings.max_pixels)
    except InputError as error:
        return {**report, "status": "unreadable", "why": str(error)}, None
    report["height"], report["width"] = image.shape[:2]
    if min(image.shape[:2]) <= settings.min_size:
        return {**report, "status": "image_too_small"}, None
    return report, image


def _align_clip(
    path: str, stem: str, settings: AlignSettings, detector: Any
) -> dict[str, Any]:
    """Writes the crops of a clip's frames, `talk.frame00120.jpg`, and returns a report.

    It has the faces of all frames, each with the number of its frame; `frames` counts
    what became of the frames, and the commonest of that is its status if no frame
    gave a crop.
    """
    report: dict[str, Any] = {"path": path, "status": "done", "found": 0, "faces": []}
    counts: collections.Counter = collections.Counter()
    for batch in _frame_batches(path, settings, report):
        _search(
            [(one, f"{stem}.frame{number:05d}", image) for number, one, image in batch],
            settings,
            detector,
        )
        for number, one, _ in batch:
            counts[one["status"]] += 1
            report["found"] += one.get("found", 0)
            report["faces"] += [
                {"frame": number, **face} for face in one.get("faces", ())
            ]
    report["frames"] = dict(sorted(counts.items()))
    if "why" in report:
        report["status"] = "unreadable"
    elif counts and not counts["done"]:
        report["status"] = counts.most_common(1)[0][0]
    return report


def _frame_batches(
    path: str, settings: AlignSettings, report: dict
) -> Iterator[list[tuple[int, dict, np.ndarray]]]:
    """Yields frames with a report each; fills in size and faults of the clip's."""
    full, batch = os.path.join(settings.data_dir, path), []
    try:
        for number, image in clips.frames(full, settings.every, settings.max_pixels):
            report["height"], report["width"] = image.shape[:2]
            if min(image.shape[:2]) <= settings.min_size:
                report["status"] = "image_too_small"
                return
            batch.append((number, {"status": "done"}, image))
            pixels = len(batch) * image.shape[0] * image.shape[1]
            if pixels > MAX_BATCH_PIXELS or len(batch) == _MAX_BATCH:
                yield batch
                batch = []
    except InputError as error:
        report["why"] = str(error)
    if "height" not in report:
        report.setdefault("why", f"{full}: none of its frames is whole")
    if batch:
        yield batch


def _search(batch: list, settings: AlignSettings, detector: Any) -> None:
    if not batch:
        return
    found = find([image for _, _, image in batch], settings, detector)
    for (report, stem, image), faces in zip(batch, found, strict=True):
        crops = report_crops(report, image, faces, settings)
        for number, (entry, crop) in enumerate(crops):
            if entry["status"] == "done":
                name = stem if number == 0 else f"{stem}.face{number}"
                entry["output"] = f"{name}.{settings.image_format}"
                target = os.path.join(settings.target_dir, entry["output"])
                images.write_image(target, crop, settings.quality)


def load_detector(settings: AlignSettings) -> Any:
    """Returns the face detector that the settings name.

    Args:
        settings: The settings.

    Raises:
        InputError: If its file cannot be used.
    """
    # Here, so that a process which only hands out work does without the networks.
    from facedancer.retinaface import api

    options = (
        ("score_threshold", settings.score_threshold),
        ("working_size", settings.working_size),
    )
    return api.loaded(settings.retina_path, options)


def find(
    photos: list[np.ndarray], settings: AlignSettings, detector: Any
) -> list[Faces]:
    """Returns the faces of photos.

    Args:
        photos: Each `(height, width, 3)` uint8 RGB.
        settings: How they are searched.
        detector: Has `detect_batch(images) -> list[Faces]`.
    """
    if settings.turned:
        return rotated_search.detect_where_none(detector, photos)
    return search_photos(detector, photos)


def report_crops(
    report: dict, image: np.ndarray, faces: Faces, settings: AlignSettings
) -> list[tuple[dict, np.ndarray]]:
    """Returns what is said of each chosen face, and its crop; fills in the report.

    Args:
        report: Of the photo; it gets `status`, `found` and `faces`.
        image: `(height, width, 3)` uint8 RGB.
        faces: All that were found in it.
        settings: Which are taken, and how.
    """
    faces = faces[(faces.scores >= settings.score_threshold) & _regular(faces)]
    report["found"] = len(faces)
    if not len(faces):
        report["status"] = "no_face"
        return []
    chosen = choose(faces, settings.faces, image.shape[:2])
    crops = [cut(image, faces, int(face), settings) for face in chosen]
    report["faces"] = [entry for entry, _ in crops]
    statuses = [entry["status"] for entry in report["faces"]]
    report["status"] = "done" if "done" in statuses else statuses[0]
    return crops


def _regular(faces: Faces) -> np.ndarray:
    """Returns which faces have landmarks that an alignment can be made of."""
    spread = np.ptp(faces.landmarks, axis=1).max(axis=1, initial=0.0)
    return np.isfinite(faces.landmarks).all(axis=(1, 2)) & (spread > 1.0)


def choose(faces: Faces, which: str, size: tuple[int, int]) -> np.ndarray:
    """Returns the positions of the wanted faces, at least one of at least one.

    Args:
        faces: At least one face.
        which: One of `CHOICES`; `"all"` gives the largest first.
        size: Height and width of the photo.
    """
    if which == "best":
        return np.array([np.argmax(faces.scores)])
    if which == "central":
        centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2.0
        middle = (np.array(size[::-1]) - 1) / 2.0
        return np.array([np.argmin(((centres - middle) ** 2).sum(axis=1))])
    order = np.argsort(-faces.areas, kind="stable")
    return order if which == "all" else order[:1]


def cut(
    image: np.ndarray, faces: Faces, face: int, settings: AlignSettings
) -> tuple[dict, np.ndarray]:
    """Returns what is to be said about one face, and its aligned crop.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        faces: The faces in it.
        face: Which of them.
        settings: How.

    Returns:
        A dictionary with status, score, box `x_min, y_min, x_max, y_max` and
        landmarks in pixels of the photo, `crop_landmarks` in pixels of the crop,
        sharpness and yaw; and the crop `(im_size, im_size, 3)` uint8.
    """
    landmarks, box = faces.landmarks[face], faces.boxes[face]
    matrix = alignment.crop_matrix(
        landmarks, settings.im_size, settings.template, settings.shrink_factor
    )
    crop = alignment.crop(image, matrix, settings.im_size)
    yaw = float(pose.solve_pose(landmarks)[0])
    entry = {
        "status": "done",
        "score": _rounded(faces.scores[face], 4),
        "box": _rounded(box, 2),
        "landmarks": _rounded(landmarks, 2),
        "crop_landmarks": _rounded(alignment.apply(matrix, landmarks), 2),
        "sharpness": _rounded(quality.sharpness(crop), 2),
        "yaw": _rounded(yaw, 1),
    }
    if max(box[2] - box[0], box[3] - box[1]) < settings.min_face:
        entry["status"] = "face_too_small"
    elif entry["sharpness"] < settings.min_sharpness:
        entry["status"] = "blurred"
    elif settings.max_yaw and abs(yaw) > settings.max_yaw:
        entry["status"] = "extreme_pose"
    return entry, crop


def _rounded(value: np.ndarray | float, digits: int) -> Any:
    return np.round(np.asarray(value, np.float64), digits).tolist()

"""Aligns a folder of photos and clips: what is missing, with a report and a summary."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from facedancer.dataset.jobs import report, workers
from facedancer.dataset.photos import aligning, clips, listing
from facedancer.dataset.shards import splits
from facedancer.errors import InputError
from facedancer.imaging import contact_sheet, images
from facedancer.process import progress
from facedancer.storage import claims, files

CHUNK = 16  # photos a task; fixed, as a batch's make-up moves results by a rounding
# Settings that change no crop.
_FREE = (
    *("data_dir", "target_dir", "device_id", "num_workers", "overwrite"),
    *("contact_sheet", "max_pixels", "split", "seed"),
)
# Of settings that came later: their values for crops that were made before.
_ADDED = {"every": 10}
_MAX_PICTURES = 80


def dropped_words(counts: collections.Counter) -> str:
    """Returns how many gave no crop, and why, in words.

    Args:
        counts: What `align_folder` gave.
    """
    dropped = {k: v for k, v in sorted(counts.items()) if k != "done"}
    return ", ".join(f"{count} {status}" for status, count in dropped.items())


def check_counts(counts: collections.Counter, settings: aligning.AlignSettings) -> None:
    """Refuses an alignment without a single crop.

    Args:
        counts: What `align_folder` gave.
        settings: What it was given.

    Raises:
        InputError: If no photo gave a crop.
    """
    if not counts["done"]:
        raise InputError(
            f"{settings.data_dir}: no photo or clip gave a crop "
            f"({dropped_words(counts)}). See {report.NAME} in {settings.target_dir}"
        )


def align_folder(
    settings: aligning.AlignSettings, detector: Any = None, show_progress: bool = False
) -> collections.Counter:
    """Aligns all photos of a folder; returns how many have which status.

    Args:
        settings: What, where and how.
        detector: Used instead of loading one; only with one worker.
        show_progress: Show a bar with rate and time left.

    Raises:
        InputError: If there is no photo, or the target folder holds other crops or
            another process is writing there.
    """
    paths = clips.list_sources(settings.data_dir)
    _check_folders(settings)
    parts = split_photos(paths, settings)
    with claims.claimed(settings.target_dir, folder=True):
        for part in parts:  # all are looked at before any is changed
            _claim_target(part, write=False)
        counts: collections.Counter = collections.Counter()
        for part in parts:
            counts += _align(part, detector, show_progress)
    return counts


@dataclasses.dataclass(frozen=True)
class Part:
    """One set of photos, and where its crops go.

    Attributes:
        paths: The photos.
        settings: Their target folder is that of the set.
        rule: Which set it is, and who is in it, in words; empty: there is but one.
    """

    paths: list[str]
    settings: aligning.AlignSettings
    rule: str = ""


def split_photos(paths: list[str], settings: aligning.AlignSettings) -> list[Part]:
    """Returns the sets that photos are put into; the people of each are its own.

    Args:
        paths: As `clips.list_sources` gives them.
        settings: What, where and how.

    Raises:
        InputError: If a set would be empty, or crops that were not split lie there.
    """
    if not settings.split:
        return [Part(paths, settings)]
    if report.read_settings(settings.target_dir) is not None:
        raise InputError(
            f"{settings.target_dir} holds crops that were made without --split. Give "
            "another --target_dir"
        )
    # A photo in no folder is a person of its own.
    people = [listing.parent(path) or path for path in paths]
    sizes = splits.parse_sizes(settings.split)
    part_by_name = splits.split_names(people, sizes, settings.seed)
    parts = []
    for name in sizes:
        names = sorted(one for one, part in part_by_name.items() if part == name)
        text = "\n".join(names).encode(errors="surrogateescape")
        digest = hashlib.sha256(text).hexdigest()[:16]
        words = ",".join(settings.split)
        rule = f"{name} of {words}, seed {settings.seed}, people {digest}"
        chosen = [
            path
            for path, person in zip(paths, people, strict=True)
            if part_by_name[person] == name
        ]
        target = os.path.join(settings.target_dir, name)
        here = dataclasses.replace(settings, target_dir=target)
        parts.append(Part(chosen, here, rule))
    return parts


def _align(part: Part, detector: Any, show_progress: bool) -> collections.Counter:
    paths, settings = part.paths, part.settings
    _claim_target(part)
    kept = report.Report(os.path.join(settings.target_dir, report.NAME), paths)
    open_chunks = _unfinished_chunks(paths, kept, settings)
    finished = len(paths) - sum(len(chunk) for chunk in open_chunks)
    results = workers.run_tasks(
        _align_task,
        _unfinished_chunks(paths, kept, settings),  # anew: none are kept in memory
        settings.num_workers,
        _prepare,
        (settings, detector),
    )
    bar = progress.bar(
        total=len(paths), initial=finished, unit="photo", shown=show_progress
    )
    with bar:
        for task, reports, why in results:
            if why:
                reports = list(_one_by_one(task, settings, detector))
            kept.append(reports)
            bar.update(len(task))
    counts = kept.finish()
    _write_summary(part, counts, complete=True)
    if settings.contact_sheet:
        _write_contact_sheets(settings)
    return counts


_state: dict = {}  # of a worker process: its settings and detector


def _prepare(settings: aligning.AlignSettings, detector: Any = None) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", str(settings.device_id))
    if detector is None:
        detector = aligning.load_detector(settings)
    _state.update(settings=settings, detector=detector)


def _align_task(task: list[tuple[str, str]]) -> list[dict]:
    return aligning.align_photos(task, _state["settings"], _state["detector"])


def _one_by_one(
    task: list[tuple[str, str]], settings: aligning.AlignSettings, detector: Any
) -> Iterator[dict]:
    """Yields reports of a chunk that killed its worker, each photo in a new process."""
    singles = ([one] for one in task)
    results = workers.run_tasks(_align_task, singles, 2, _prepare, (settings, detector))
    for single, reports, why in results:
        if why:
            reports = [{"path": single[0][0], "status": "worker_died", "why": why}]
        yield from reports


def _check_folders(settings: aligning.AlignSettings) -> None:
    source = pathlib.Path(settings.data_dir).resolve()
    target = pathlib.Path(settings.target_dir).resolve()
    if target == source or source in target.parents:
        raise InputError(
            "The target folder must lie outside the folder of the photos, else crops "
            f"would be taken for photos. Received: --target_dir={settings.target_dir}"
        )
    if target.exists() and not target.is_dir():
        raise InputError(f"{settings.target_dir}: not a folder")
    dropped = _dropped_folder(settings).resolve()
    if settings.contact_sheet and dropped in (source, *source.parents):
        raise InputError(
            f"{_dropped_folder(settings)} is where pictures of dropped photos go; no "
            "photos may lie there. Give another --target_dir, or --contact_sheet=false"
        )


def _dropped_folder(settings: aligning.AlignSettings) -> pathlib.Path:
    return pathlib.Path(settings.target_dir.rstrip("/") + ".dropped")


def _claim_target(part: Part, write: bool = True) -> None:
    """Refuses a folder with crops of other settings, or empties it if told to."""
    settings = part.settings
    folder = pathlib.Path(settings.target_dir)
    wanted = _shaping(part)
    found = report.read_settings(folder)
    if found is not None:
        found = _ADDED | found
    if found is None and folder.is_dir() and any(_visible(folder)):
        raise InputError(
            f"{folder} holds {next(_visible(folder)).name}, which this program did not "
            "write and might overwrite. Give a new or empty folder as --target_dir"
        )
    if found is not None and found != wanted:
        both = wanted | found
        names = sorted(k for k in both if found.get(k) != wanted.get(k))
        if not settings.overwrite:
            raise InputError(
                f"{folder} holds crops made with other values of "
                f"{', '.join('--' + name for name in names)}. Give another "
                "--target_dir, or --overwrite to make them anew"
                + (
                    ". People who came new or are gone move others between the sets"
                    if names == ["split"]
                    else ""
                )
            )
        if not write:
            return
        for entry in report.read_report(folder):
            for face in entry.get("faces", ()):
                if "output" in face:
                    (folder / face["output"]).unlink(missing_ok=True)
        (folder / report.NAME).unlink(missing_ok=True)
    if write:
        _write_summary(part, collections.Counter(), complete=False)


def _visible(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _shaping(part: Part) -> dict:
    values = dataclasses.asdict(part.settings)
    shaping = {name: value for name, value in values.items() if name not in _FREE}
    return shaping | ({"split": part.rule} if part.rule else {})


def _write_summary(part: Part, counts: collections.Counter, complete: bool) -> None:
    settings = part.settings
    summary = {
        "settings": _shaping(part),
        "complete": complete,
        "photos": sum(counts.values()),
        "statuses": {name: counts[name] for name in aligning.STATUSES if counts[name]},
    }
    path = os.path.join(settings.target_dir, report.SUMMARY)
    files.write_atomic(path, (json.dumps(summary, indent=2) + "\n").encode())


def _unfinished_chunks(
    paths: list[str], kept: report.Report, settings: aligning.AlignSettings
) -> Iterator[list[tuple[str, str]]]:
    """Yields the chunks in which a photo is missing."""
    finished = (_is_finished(entry, settings) for entry in kept.entries())
    both = zip(listing.output_stems(paths), finished, strict=True)
    while chunk := list(itertools.islice(both, CHUNK)):
        if not all(done for _, done in chunk):
            yield [task for task, _ in chunk]


def _is_finished(entry: dict | None, settings: aligning.AlignSettings) -> bool:
    if entry is None or entry["status"] in aligning.FAILURES:
        return False
    outputs = [face["output"] for face in entry.get("faces", ()) if "output" in face]
    return all(os.path.exists(os.path.join(settings.target_dir, o)) for o in outputs)


def _write_contact_sheets(settings: aligning.AlignSettings) -> None:
    """Writes one picture for each reason why photos were dropped."""
    folder = _dropped_folder(settings)
    for status in aligning.STATUSES:  # of an earlier run
        (folder / f"{status}.jpg").unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    by_status = collections.defaultdict(list)
    for entry in report.read_report(settings.target_dir):
        if entry["status"] not in ("done", *aligning.FAILURES):
            by_status[entry["status"]].append(entry)
    for status, entries in by_status.items():
        picked = np.linspace(0, len(entries) - 1, min(len(entries), _MAX_PICTURES))
        chosen = [entries[round(at)] for at in picked]
        sheet = contact_sheet.contact_sheet(_pictures(chosen, settings))
        images.write_image(folder / f"{status}.jpg", sheet, 90)


def _pictures(
    entries: Iterable[dict], settings: aligning.AlignSettings
) -> Iterator[tuple[np.ndarray, str]]:
    for entry in entries:
        path = os.path.join(settings.data_dir, entry["path"])
        faces = entry.get("faces", ())[:1]
        if "frames" in entry:
            wanted = faces[0]["frame"] if faces else 0
            found = clips.frames(path, settings.every, settings.max_pixels)
            picture = next(image for number, image in found if number >= wanted)
        else:
            picture = images.read_image(path, settings.max_pixels)
        for face in faces:
            picture = contact_sheet.mark_face(picture, face["box"], face["landmarks"])
        yield picture, entry["path"]

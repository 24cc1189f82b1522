"""Packs photos into TFRecord shards.

    python dataset/dataset_sharding.py --data_dir=aligned/ --target_dir=shards/ \
        --data_name=vgg --data_type=train --num_shards=1000

Started again after it was stopped, the program writes the missing shards. With
`--verify` it checks shards that are there.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facedancer import cli
from facedancer.dataset.jobs import report, workers
from facedancer.dataset.photos import image_header, listing
from facedancer.dataset.shards import manifest, sharding, splits
from facedancer.errors import InputError
from facedancer.flags.settings import Checked, choice, ranged, setting
from facedancer.process import beam_runner, progress
from facedancer.storage import claims

IDENTITIES = ("folder", "name", "none")
CHECKS = ("ends", "decode")
_ARGUMENTS = (
    *("shuffle", "num_shards", "seed", "holdout", "identities"),
    "exclude_people",
)
_CHECK_THREADS, _CHECK_CHUNK = 8, 256
# One process: hashes and files take their time outside the interpreter's lock.
_THREADS = 4


@dataclasses.dataclass(frozen=True)
class ShardSettings(Checked):
    """What is packed, and how.

    Attributes:
        target_dir: Where the shards go.
        data_dir: Folder with photos, at any depth.
        data_name: Beginning of the shards' names.
        data_type: Second part of the shards' names.
        shuffle: Mix the photos; else they keep the order of their paths.
        num_shards: Number of shards; fewer if there are fewer photos.
        seed: Of the mixing and of the split.
        split: Several sets at once, such as train=.9,val=.1: fractions of the people,
            and no person is in two of them. Takes the place of --data_type.
        holdout: Number of people that make a set `val` of their own.
        check: ends: photos must begin and end as their format asks, or can be decoded;
            decode: all are decoded, which takes several times as long.
        identities: folder: the folder a photo lies in, with those above it, is the
            person's name; name: its last part is, for people who have photos in several
            folders, such as 160/ann and 256/ann; none: no labels are written.
        exclude_people: Text file with one person's name a line; none of their photos is
            packed.
        num_workers: Processes.
        runner: local, or the Apache Beam runner that does the work: FnApiRunner,
            DirectRunner, FlinkRunner, SparkRunner, DataflowRunner (needs the extra
            `beam`).
        beam_options: Options of the Beam runner, such as --flink_master=host:8081.
        verify: Check the shards in the target folder instead of writing any.
        overwrite: Remove shards of the same name that were made from other photos.

    Raises:
        ValueError: If a value is out of its range.
    """

    target_dir: str = setting(essential=True)
    data_dir: str = setting("", essential=True)
    data_name: str = setting("faces", essential=True)
    data_type: str = setting("train", essential=True)
    shuffle: bool = True
    num_shards: int = ranged(1000, low=1, essential=True)
    seed: int = 0
    split: tuple[str, ...] = setting((), essential=True)
    holdout: int = ranged(0, low=0)
    check: str = choice("ends", CHECKS)
    identities: str = choice("folder", IDENTITIES)
    exclude_people: str = ""
    num_workers: int = ranged(1, low=1, essential=True)
    runner: str = choice("local", ("local", *beam_runner.RUNNERS))
    beam_options: tuple[str, ...] = ()
    verify: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split and self.holdout:
            raise ValueError("Give --split or --holdout, not both.")
        if self.exclude_people and self.identities == "none":
            raise ValueError(
                "--exclude_people needs names. Received: --identities=none"
            )
        for name in ("data_name", "data_type"):
            value = getattr(self, name)
            if not value or set(value) & set("/\\*?[],"):
                raise ValueError(
                    f"`{name}` must be a part of a file name without / * ? [ ] and "
                    f"commas. Received: {value!r}"
                )


def main(settings: ShardSettings) -> int:
    """Runs the program.

    Args:
        settings: What the flags say.

    Returns:
        0 when all photos are in the shards, 2 when broken ones were left out.

    Raises:
        InputError: If there are no photos, or shards that are checked are damaged.
    """
    if settings.verify:
        return _verify(settings)
    if not settings.data_dir:
        raise InputError("--data_dir must name the folder with the photos")
    manifests, broken = write_sets(settings, show_progress=True)
    for name, written in manifests.items():
        aligned = manifest.alignment_in(written) or "an unknown alignment"
        print(
            f"{name}: {written['count']} photos of {written['num_identities']} "
            f"identities in {len(written['shards'])} shards in {settings.target_dir}; "
            f"{aligned}"
        )
    for why in broken[:20]:
        print(f"Left out: {why}")
    if len(broken) > 20:
        print(f"... and {len(broken) - 20} more")
    return cli.PARTIAL if broken else cli.DONE


def _verify(settings: ShardSettings) -> int:
    for data_type in _sizes_by_part(settings):
        name = f"{settings.data_name}_{data_type}"
        found = sharding.verify(settings.target_dir, name)
        print(
            f"{name}: {found['count']} photos in {len(found['shards'])} shards "
            "are as the manifest says"
        )
    return cli.DONE


def write_sets(
    settings: ShardSettings, show_progress: bool = False
) -> tuple[dict[str, dict], list[str]]:
    """Writes the sets that are missing or incomplete.

    Args:
        settings: What and how.
        show_progress: Show a bar with rate and time left.

    Returns:
        The manifest of each set, and what is wrong with the photos left out.

    Raises:
        InputError: If there is no usable photo, other shards are in the way, or another
            process is writing them.
    """
    plans, broken = make_plans(settings)
    manifests = {}
    for plan in plans:
        with claims.claimed(plan.stem_path):
            found = sharding.claim_target(plan, settings.overwrite)
            if found is None:
                _write_shards(plan, settings, show_progress)
                found = sharding.finish(plan)
            manifests[plan.name] = found
    return manifests, broken


def _write_shards(
    plan: sharding.Plan, settings: ShardSettings, show_progress: bool
) -> None:
    tasks = (plan.task(shard) for shard in range(plan.num_shards))
    if settings.runner != "local":
        beam_runner.run(
            sharding.process_shard, tasks, settings.runner, settings.beam_options
        )
        return
    if settings.num_workers == 1:
        results = workers.run_in_threads(sharding.process_shard, tasks, _THREADS)
    else:
        results = workers.run_tasks(sharding.process_shard, tasks, settings.num_workers)
    bar = progress.bar(
        total=len(plan.paths), unit="photo", desc=plan.name, shown=show_progress
    )
    with bar:
        for task, count, why in results:
            if why:
                raise InputError(f"{task['file']}: {why}")
            bar.update(count)


def make_plans(settings: ShardSettings) -> tuple[list[sharding.Plan], list[str]]:
    """Returns one plan for each set, and what is wrong with the photos left out.

    Args:
        settings: What and how.

    Raises:
        InputError: If there is no usable photo, or a set would be empty.
    """
    paths, sizes, broken = _usable(settings.data_dir, settings.check == "decode")
    names = [_person(path, settings.identities) for path in paths]
    sizes_by_part = _sizes_by_part(settings)
    # Photos whose person is unknown are each split by themselves.
    people = [name or path for name, path in zip(names, paths, strict=True)]
    part_by_name = splits.split_names(people, sizes_by_part, settings.seed)
    parts = np.array(
        [list(sizes_by_part).index(part_by_name[person]) for person in people]
    )
    if settings.exclude_people:  # after the split, which it shall not move
        parts[splits.excluded(names, settings.exclude_people)] = -1
    landmarks = _landmarks(settings.data_dir, paths)
    plans = []
    for number, data_type in enumerate(sizes_by_part):
        rows = np.flatnonzero(parts == number)
        if not len(rows):
            raise InputError(
                f"{settings.exclude_people} leaves nobody in the set {data_type}"
            )
        if settings.shuffle:
            rows = np.random.default_rng(settings.seed).permutation(rows)
        plans.append(
            _make_plan(settings, data_type, rows, paths, sizes, names, landmarks)
        )
    return plans, broken


def _person(path: str, identities: str) -> str:
    """Returns the name of the person on a photo, "" where names are not wanted."""
    folder = listing.parent(path)
    return {"folder": folder, "name": folder.rpartition("/")[2], "none": ""}[identities]


def _sizes_by_part(settings: ShardSettings) -> dict[str, float | int]:
    if settings.split:
        return splits.parse_sizes(settings.split)
    if settings.holdout:
        return {settings.data_type: 1.0, "val": settings.holdout}
    return {settings.data_type: 1.0}


def _usable(data_dir: str, decode: bool) -> tuple[list[str], np.ndarray, list[str]]:
    paths = listing.list_photos(data_dir)

    sizes, broken = np.empty(len(paths), np.int64), []

    def check(start: int) -> list[str]:
        wrong = []
        for row in range(start, min(start + _CHECK_CHUNK, len(paths))):
            try:
                full = os.path.join(data_dir, paths[row])
                sizes[row] = image_header.check_file(full, decode)
            except InputError as error:
                sizes[row] = -1
                wrong.append(str(error))
        return wrong

    with ThreadPoolExecutor(_CHECK_THREADS) as pool:
        for wrong in pool.map(check, range(0, len(paths), _CHECK_CHUNK)):
            broken += wrong
    if len(broken) == len(paths):
        raise InputError(f"{data_dir}: none of its images can be read: {broken[0]}")
    good = [path for path, size in zip(paths, sizes, strict=True) if size >= 0]
    return good, sizes[sizes >= 0], broken


def _landmarks(data_dir: str, paths: list[str]) -> np.ndarray | None:
    """Returns `(n, 10)` float32 from the report of `crop_align`, None without one."""
    if not pathlib.Path(data_dir, report.NAME).is_file():
        return None
    landmarks = np.full((len(paths), 10), np.nan, np.float32)
    for output, points in _reported(data_dir):
        row = listing.position(paths, output)
        if row is not None:
            landmarks[row] = np.ravel(points)
    return landmarks


def _reported(data_dir: str) -> Iterator[tuple[str, list]]:
    for entry in report.read_report(data_dir):
        for face in entry.get("faces", ()):
            if "output" in face:
                yield face["output"], face["crop_landmarks"]


def _make_plan(
    settings: ShardSettings,
    data_type: str,
    rows: np.ndarray,
    paths: list[str],
    sizes: np.ndarray,
    names: list[str],
    landmarks: np.ndarray | None,
) -> sharding.Plan:
    chosen = [paths[row] for row in rows]
    identity_names = sorted({names[row] for row in rows} - {""})
    number = {name: i for i, name in enumerate(identity_names)}
    identity = np.array([number.get(names[row], -1) for row in rows], np.int32)
    num_shards = min(settings.num_shards, len(chosen))
    chosen_landmarks = None if landmarks is None else landmarks[rows]
    return sharding.Plan(
        data_dir=settings.data_dir,
        target_dir=settings.target_dir,
        name=f"{settings.data_name}_{data_type}",
        num_shards=num_shards,
        paths=chosen,
        identity=identity,
        identity_names=identity_names,
        landmarks=chosen_landmarks,
        alignment=report.alignment_of(settings.data_dir),
        arguments={name: getattr(settings, name) for name in _ARGUMENTS}
        | {"split": list(settings.split), "data_type": data_type},
        digest=sharding.plan_digest(
            chosen, sizes[rows], num_shards, identity, chosen_landmarks
        ),
    )


if __name__ == "__main__":
    cli.run(main, ShardSettings)

"""Packs photos and their edited copies into shards of (source, target, truth).

    python dataset/triplet_sharding.py --data_dir=edits/ --target_dir=triplets/

`edits/beard/anna.original.jpg` and `edits/beard/anna.edited.jpg` are one pair. The
first folder is the kind of the edit, and each kind becomes a set of shards of its own,
`edits_beard_00000-of-00016.records`, so that `triplets` can mix
them by shares.
Started again after it was stopped, the program writes the missing shards.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator

import numpy as np

from facedancer import cli
from facedancer.dataset.jobs import report, workers
from facedancer.dataset.photos import image_header, listing
from facedancer.dataset.shards import sharding
from facedancer.errors import InputError
from facedancer.flags.settings import Checked, choice, ranged, setting
from facedancer.process import progress
from facedancer.storage import claims

# Of MobileFSGAN; "either" stands for the two forms its attribute edits take in turn.
TRUTHS = ("source", "target", "either", "person", "kept")
KINDS = {
    "beard": "source",
    "fat": "source",
    "bald": "target",
    "grin": "target",
    "forehead_hair": "either",
    "glasses": "either",
    "sunglasses": "either",
    "edited_target": "person",
    "occluder": "kept",
}
_NAME = re.compile(r"(?P<name>.+)\.(?P<role>original|edited)\.[^./]+")
_LOOSE = "pairs"  # the kind of pairs that lie in no folder
_THREADS = 3


@dataclasses.dataclass(frozen=True)
class TripletShardSettings(Checked):
    """What is packed, and how.

    Attributes:
        target_dir: Where the shards go.
        data_dir: Folder with NAME.original.* and NAME.edited.* files, at any depth;
            the first folder of their path is the kind of the edit.
        data_name: Beginning of the shards' names.
        num_shards: Number of shards of each kind; fewer if there are fewer triplets.
        truth: What is right for kinds that --kinds does not name: source (the source is
            the original, the target its edited copy, the truth the source), target
            (the source is the edited copy, target and truth are the original), either
            (one triplet as by target, and one where the original is the source, and the
            edited copy target and truth), person (source and truth are two originals
            of one folder, the target is the truth's edited copy), kept (the source is
            another original of the folder, or this one, the edited copy target and
            truth: what was laid over a face stays).
        kinds: The same by kind, such as beard=source. Known without it, as MobileFSGAN
            has them: beard, fat, bald, grin, forehead_hair, glasses, sunglasses,
            edited_target; and occluder.
        seed: Of the order and of the choice of a person's other photo.
        overwrite: Remove shards of the same name that were made from other photos.

    Raises:
        ValueError: If a value is out of its range.
    """

    target_dir: str = setting(essential=True)
    data_dir: str = setting(essential=True)
    data_name: str = "edits"
    num_shards: int = ranged(16, low=1)
    truth: str = choice("target", TRUTHS)
    kinds: tuple[str, ...] = ()
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind, truth in self.truth_by_kind().items():
            if truth not in TRUTHS:
                raise ValueError(
                    f"`kinds` must be KIND=TRUTH, the truth one of {', '.join(TRUTHS)}."
                    f" Received: {kind}={truth}"
                )

    def truth_by_kind(self) -> dict[str, str]:
        """Returns the known kinds of edits and what is right for them."""
        given = (word.partition("=") for word in self.kinds)
        return KINDS | {kind.strip(): truth.strip() for kind, _, truth in given}


@dataclasses.dataclass(frozen=True)
class TripletPlan(sharding.Plan):
    """A set of shards of triplets; its paths are `kind/name`.

    Attributes:
        triplets: In the order of the records.
    """

    triplets: list[sharding.Triplet]

    def task(self, shard: int) -> dict:
        """Returns what `sharding.process_shard` needs for one shard."""
        part = self.triplets[shard :: self.num_shards]
        return super().task(shard) | {"triplets": part}


def main(settings: TripletShardSettings) -> int:
    """Runs the program.

    Args:
        settings: What the flags say.

    Returns:
        0 when all files are in the shards, 2 when some were left out.

    Raises:
        InputError: If there is no pair.
    """
    manifests, left_out = write_sets(settings, show_progress=True)
    for name, written in manifests.items():
        print(f"{name}: {written['count']} triplets in {settings.target_dir}")
    for why in left_out[:20]:
        print(f"Left out: {why}")
    if len(left_out) > 20:
        print(f"... and {len(left_out) - 20} more")
    return cli.PARTIAL if left_out else cli.DONE


def write_sets(
    settings: TripletShardSettings, show_progress: bool = False
) -> tuple[dict[str, dict], list[str]]:
    """Writes the sets that are missing or incomplete, one for each kind of edit.

    Args:
        settings: What and how.
        show_progress: Show a bar for each set.

    Returns:
        The manifest of each set, and what is wrong with the files left out.

    Raises:
        InputError: If there is no pair, other shards are in the way, or another process
            is writing them.
    """
    by_kind, left_out = find_triplets(settings)
    manifests = {}
    for kind, triplets in by_kind.items():
        plan = _make_plan(settings, kind, triplets)
        with claims.claimed(plan.stem_path):
            found = sharding.claim_target(plan, settings.overwrite)
            manifests[plan.name] = found or _write_shards(plan, show_progress)
    return manifests, left_out


def _write_shards(plan: sharding.Plan, show_progress: bool) -> dict:
    tasks = (plan.task(shard) for shard in range(plan.num_shards))
    done = workers.run_in_threads(sharding.process_shard, tasks, _THREADS)
    bar = progress.bar(
        done,
        total=plan.num_shards,
        unit="shard",
        desc=plan.name,
        shown=show_progress,
    )
    for _ in bar:
        pass
    return sharding.finish(plan)


def find_triplets(
    settings: TripletShardSettings,
) -> tuple[dict[str, list[sharding.Triplet]], list[str]]:
    """Returns the triplets of each kind of edit, and what is wrong with other files.

    Args:
        settings: What and how.

    Raises:
        InputError: If there is no pair.
    """
    pairs, left_out = _find_pairs(settings.data_dir)
    originals: dict[str, list[str]] = {}
    for original, _ in pairs.values():
        originals.setdefault(listing.parent(original), []).append(original)
    truths = settings.truth_by_kind()
    by_kind: dict[str, list[sharding.Triplet]] = {}
    for number, (name, (original, edited)) in enumerate(pairs.items()):
        path = name if "/" in name else f"{_LOOSE}/{name}"
        kind = path.split("/")[0]
        truth = truths.get(kind, settings.truth)
        folder = originals[listing.parent(original)]
        other = _another(folder, original, [settings.seed, number])
        if truth == "person" and not other:
            left_out.append(f"{original}: its folder holds no other original")
            continue
        made = _triplets_of(truth, path, original, edited, other)
        by_kind.setdefault(kind, []).extend(made)
    if not by_kind:
        raise InputError(
            f"{settings.data_dir}: no pairs NAME.original.* and NAME.edited.* in it"
            + (f"; for instance {left_out[0]}" if left_out else "")
        )
    return by_kind, left_out


def _another(files: list[str], file: str, seed: list[int]) -> str:
    """Returns one of the other files, each as likely; "" if there is none."""
    if len(files) < 2:
        return ""
    drawn = files[np.random.default_rng(seed).integers(len(files) - 1)]
    return files[-1] if drawn == file else drawn


def _triplets_of(
    truth: str, path: str, original: str, edited: str, other: str
) -> Iterator[sharding.Triplet]:
    if truth == "source":
        yield sharding.Triplet(path, original, edited, original, True)
    if truth in ("target", "either"):
        yield sharding.Triplet(path, edited, original, original, False)
    if truth == "either":
        yield sharding.Triplet(path, original, edited, edited, False)
    if truth == "person":
        yield sharding.Triplet(path, other, edited, original, True)
    if truth == "kept":
        yield sharding.Triplet(path, other or original, edited, edited, True)


def _find_pairs(data_dir: str) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Returns original and edited file by `folder/name`, and why others are no pair."""
    found: dict[str, dict[str, str]] = {}
    left_out = []
    for path in listing.list_photos(data_dir):
        match = _NAME.fullmatch(path)
        if not match:
            left_out.append(f"{path}: its name holds neither .original. nor .edited.")
            continue
        try:
            image_header.check_file(os.path.join(data_dir, path))
        except InputError as error:
            left_out.append(str(error))
            continue
        found.setdefault(match["name"], {})[match["role"]] = path
    pairs = {}
    for name, roles in found.items():
        if len(roles) == 2:
            pairs[name] = roles["original"], roles["edited"]
        else:
            left_out.append(f"{name}: only the {next(iter(roles))} is usable")
    return pairs, left_out


def _make_plan(
    settings: TripletShardSettings, kind: str, found: list[sharding.Triplet]
) -> TripletPlan:
    if set(kind) & set("*?[],"):
        raise InputError(
            f"{kind}: the name of a kind must have no * ? [ ] and commas; rename it"
        )
    order = np.random.default_rng(settings.seed).permutation(len(found))
    chosen = [found[row] for row in order]
    num_shards = min(settings.num_shards, len(chosen))
    identity = np.full(len(chosen), -1, np.int32)
    sizes = [
        sum(
            os.path.getsize(os.path.join(settings.data_dir, file)) for file in t.files()
        )
        for t in chosen
    ]
    text = ["\0".join((t.path, *t.files(), str(t.source_is_real))) for t in chosen]
    return TripletPlan(
        data_dir=settings.data_dir,
        target_dir=settings.target_dir,
        name=f"{settings.data_name}_{kind}",
        num_shards=num_shards,
        paths=[t.path for t in chosen],
        identity=identity,
        identity_names=[],
        landmarks=None,
        alignment=report.alignment_of(settings.data_dir),
        arguments={"seed": settings.seed, "kind": kind},
        digest=sharding.plan_digest(text, sizes, num_shards, identity, None),
        triplets=chosen,
    )


if __name__ == "__main__":
    cli.run(main, TripletShardSettings)

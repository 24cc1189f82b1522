"""Which photos make batch k, read, decoded and changed; without TensorFlow's pipelines.

`pairs` makes a `tf.data.Dataset` of it.
"""

from __future__ import annotations

import dataclasses
import os
import threading

import numpy as np
from absl import logging

from facedancer.dataset.augmentation import colour, photo_changes
from facedancer.dataset.reading import photo_cache, sampling
from facedancer.dataset.shards import shard_index
from facedancer.errors import InputError

ON_CORRUPT = ("stop", "skip")
# Salts that make of the seed and the batch's number one seed per use.
_DRAWS, _CHANGES, _LEGACY = 103, 105, 106


@dataclasses.dataclass(frozen=True)
class PairSettings:
    """How pairs are drawn and prepared.

    Attributes:
        data_dir: Shards: a folder with *.records files, or a glob pattern; several with
            commas between. Shards written by the original program are read too.
        batch_size: Pairs in a (global) batch.
        image_size: Side of the images in pixels. Others are resized.
        same_ratio: Probability that the source is the target photo itself; above 0 at
            least one such pair is in each batch.
        pairing: random, different (source and target show different people),
            same_person (two photos of one person) or batch (sources are the targets of
            the same batch in another order: about twice as fast to read).
        same_person_ratio: Share of pairs of two photos of one person.
        balance: none, identity or folder: each person or source folder (the first
            folder of a photo's path) gets the same share of the pairs.
        jitter: Colour jitter: per_image (on [0, 1], clipped, the same draw for both
            images of a same pair), legacy (as the original: one draw for a batch, on
            [-1, 1], not clipped) or none.
        flip: Mirror images at random, target and source independently.
        colour_match: Probability that a photo takes on colours of another target of
            the batch; faceswap-GAN has 0.5, few-shot face translation 0.25.
        affine: none, or rotation, zoom, shift and mirroring as faceswap_gan (10
            degrees) or few_shot (5 degrees) has them.
        motion_blur: Probability that a photo is blurred along a line; faceswap-GAN
            has 0.25.
        distortion: Adds a distorted copy of the target to learn to restore it: warp
            (faceswap-GAN; the target is then the middle of its photo) or corruption
            (few-shot face translation: the face is what 4 to 15 pixels leave of it).
        shuffle: Draw the photos in random order.
        window: Sources are drawn among this many targets that come at about the same
            time, so that each photo is decoded once for both; 0: among all photos,
            which takes nearly twice as long. Not used with balance.
        cache_mb: Memory for decoded photos. What does not fit is decoded again; what
            is enough for all photos decodes each once.
        seed: Of everything random here.
        on_corrupt: stop at a damaged record, or skip it: another record takes its
            place, and a warning names it.
        num_parallel_calls: Batches prepared at the same time; 0 means two per CPU, at
            least 4.

    Raises:
        ValueError: If a value is out of its range.
    """

    data_dir: str
    batch_size: int = 10
    image_size: int = 256
    same_ratio: float = 0.2
    pairing: str = "random"
    same_person_ratio: float = 0.0
    balance: str = "none"
    jitter: str = "per_image"
    flip: bool = False
    colour_match: float = 0.0
    affine: str = "none"
    motion_blur: float = 0.0
    distortion: str = "none"
    shuffle: bool = True
    window: int = sampling.WINDOW
    cache_mb: int = 256
    seed: int = 0
    on_corrupt: str = "stop"
    num_parallel_calls: int = 0

    def __post_init__(self) -> None:
        for name, known in (
            ("pairing", sampling.PAIRINGS),
            ("balance", sampling.BALANCES),
            ("jitter", colour.JITTERS),
            ("on_corrupt", ON_CORRUPT),
            ("affine", tuple(photo_changes.AFFINES)),
            ("distortion", photo_changes.DISTORTIONS),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(
                    f"`{name}` must be one of {known}. Received: {name}={value!r}"
                )
        for name in ("colour_match", "motion_blur"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(
                    f"`{name}` must lie in [0, 1]. Received: {getattr(self, name)}"
                )
        minima = {
            "batch_size": 1,
            "image_size": 1,
            "window": 0,
            "cache_mb": 0,
            "seed": 0,
        }
        for name, low in minima.items():
            if getattr(self, name) < low:
                raise ValueError(
                    f"`{name}` must be at least {low}. "
                    f"Received: {name}={getattr(self, name)}"
                )

    def changes(self) -> photo_changes.PhotoChanges:
        """Returns what is done to the photos beyond jitter and flip."""
        names = ("image_size", "colour_match", "affine", "motion_blur", "distortion")
        return photo_changes.PhotoChanges(*(getattr(self, name) for name in names))


def parallel_calls() -> int:
    """Returns how many batches are prepared at the same time by default."""
    return max(4, 2 * (os.cpu_count() or 1))


class PairReader:
    """Reads the photos of batch k; safe to use from several threads.

    Attributes:
        settings: What it was made with.
        index: The `ShardIndex`.
        sampler: The `PairSampler`.
        cache: The `PhotoCache` of decoded photos.
        changes: The `PhotoChanges` that are asked for.
        skipped: Text by `(file, record)` of the damaged records met so far.

    Args:
        settings: What to read and how to pair it.

    Raises:
        InputError: If the shards are missing, or hold no labels that are asked for.
    """

    def __init__(self, settings: PairSettings) -> None:
        self.settings = settings
        self.index = shard_index.open_index(
            settings.data_dir, on_corrupt=settings.on_corrupt
        )
        self.sampler = sampling.PairSampler(
            self.index.identity,
            self.index.folder,
            batch_size=settings.batch_size,
            same_ratio=settings.same_ratio,
            pairing=settings.pairing,
            same_person_ratio=settings.same_person_ratio,
            balance=settings.balance,
            shuffle=settings.shuffle,
            seed=settings.seed,
            window=settings.window,
        )
        self.changes = settings.changes()
        photo_bytes = 3 * self.changes.read_size**2
        fitting = settings.cache_mb * 2**20 // photo_bytes
        self.cache = photo_cache.PhotoCache(
            self.good_photo, max(2 * settings.batch_size, fitting)
        )
        self.skipped: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()

    @property
    def roles(self) -> tuple[str, ...]:
        """The images of a batch by name, in order."""
        distorted = self.settings.distortion != "none"
        return ("target", "source", "distorted") if distorted else ("target", "source")

    def rows(self, number: int, start: int, stop: int) -> tuple[np.ndarray, ...]:
        """Returns rows of batch `number`, read and decoded.

        Args:
            number: The batch.
            start: First row.
            stop: Row after the last.

        Returns:
            Target and source `(rows, size, size, 3)` uint8 RGB, same `(rows,)` float32
            of 0 and 1, identities of target and source `(rows,)` int64.

        Raises:
            InputError: If a record is damaged and `on_corrupt` is `"stop"`.
        """
        images, same, identities = self.batch(number, start, stop)
        return images[0], images[1], same, identities[0], identities[1]

    def batch(self, number: int, start: int, stop: int) -> tuple[np.ndarray, ...]:
        """Returns rows of batch `number`, read and decoded.

        Args:
            number: The batch.
            start: First row.
            stop: Row after the last.

        Returns:
            `(2, rows, size, size, 3)` uint8 RGB, targets and sources, and with a
            distortion a third, the distorted copies of the targets; same `(rows,)`
            float32 of 0 and 1; identities `(2, rows)` int64.

        Raises:
            InputError: If a record is damaged and `on_corrupt` is `"stop"`.
        """
        pairs = self.sampler.batch(number)
        size = self.settings.image_size
        count = 2 if self.settings.distortion == "none" else 3
        images = np.empty((count, stop - start, size, size, 3), np.uint8)
        identities = np.empty((2, stop - start), np.int64)
        draws = self.draws(number)
        for slot, row in enumerate(range(start, stop)):
            for role in range(1 if pairs.same[row] else 2):
                photo = int((pairs.source if role else pairs.target)[row])
                image, used = self.cache.get(photo)
                identities[role:, slot] = self.index.identity[used]
                versions = self._versions(
                    image, used, pairs.target, role, (number, row)
                )
                versions = self._recoloured(versions, draws[row, role])
                images[role, slot] = versions["source" if role else "target"]
                if role == 0 and count == 3:
                    images[2, slot] = versions["distorted"]
            if pairs.same[row]:
                images[1, slot] = versions["source"]
        same = pairs.same[start:stop].astype(np.float32)
        return images, same, identities

    def arrays(self, number: int) -> dict[str, np.ndarray]:
        """Returns a whole batch by name, as `pairs.make_dataset` has it.

        Args:
            number: The batch.

        Returns:
            The images are `(batch, size, size, 3)` uint8 RGB; with the legacy jitter
            float32 in about [-1, 1], of other random numbers than in TensorFlow.

        Raises:
            InputError: If a record is damaged and `on_corrupt` is `"stop"`.
        """
        images, same, people = self.batch(number, 0, self.settings.batch_size)
        batch = dict(zip(self.roles, images, strict=True))
        if self.settings.jitter == "legacy":
            draws = self.legacy_draws(number)
            for name, image in batch.items():
                signed = image.astype(np.float32) / np.float32(127.5) - np.float32(1.0)
                drawn = draws.get(name, draws["target"])
                batch[name] = colour.jitter_legacy_array(signed, drawn)
        names = ("target_identity", "source_identity")
        return batch | {"same": same, **dict(zip(names, people, strict=True))}

    def draws(self, number: int) -> np.ndarray:
        """Returns the random numbers of a batch, `(batch, 2, 4)` in [0, 1).

        They are of each row's target and source: for mirroring and for the jitter.

        Args:
            number: The batch.
        """
        random = np.random.default_rng([self.settings.seed, _DRAWS, number])
        return random.random((self.settings.batch_size, 2, 4))

    def legacy_draws(self, number: int) -> dict[str, np.ndarray]:
        """Returns the random numbers of the legacy jitter of a batch, three a role.

        Args:
            number: The batch.
        """
        random = np.random.default_rng([self.settings.seed, _LEGACY, number])
        return {"target": random.random(3), "source": random.random(3)}

    def changes_random(self, number: int, row: int, role: int) -> np.random.Generator:
        """Returns the random numbers of `changes` for one photo of a batch.

        Args:
            number: The batch.
            row: Of the batch.
            role: 0 for the target, 1 for the source.
        """
        return np.random.default_rng([self.settings.seed, _CHANGES, number, row, role])

    def _versions(
        self,
        image: np.ndarray,
        used: int,
        targets: np.ndarray,
        role: int,
        row: tuple[int, int],
    ) -> dict[str, np.ndarray]:
        """Returns what the photo is as target, as source, and distorted."""
        if not self.changes.any:
            return {"target": image, "source": image}
        random = self.changes_random(*row, role)
        landmarks = None
        if self.changes.distortion == "corruption":
            landmarks = self.index.landmarks(used, image.shape[0])
            if landmarks is None and self.index.alignment is not None:
                landmarks = self.index.alignment.landmarks(image.shape[0])

        def another() -> np.ndarray:
            return self.cache.get(int(random.choice(targets)))[0]

        image, mask = self.changes.change(image, landmarks, another, random)
        whole = self.changes.straight(image)
        if self.changes.distortion == "none" or role:
            return {"target": whole, "source": whole}
        target, distorted = self.changes.distort(image, mask, random)
        return {"target": target, "source": whole, "distorted": distorted}

    def _recoloured(
        self, versions: dict[str, np.ndarray], draws: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns the versions of a photo mirrored and recoloured, all alike."""
        if self.settings.flip and draws[0] < 0.5:
            versions = {name: image[:, ::-1] for name, image in versions.items()}
        if self.settings.jitter != "per_image":
            return versions
        change = colour.jitter_map(versions["target"], draws[1:])
        done = {id(v): colour.apply_map(v, change) for v in versions.values()}
        return {name: done[id(image)] for name, image in versions.items()}

    def good_photo(self, photo: int) -> tuple[np.ndarray, int]:
        """Returns a photo and its position; the next good one if it may be skipped.

        Args:
            photo: Its position in the index.

        Raises:
            InputError: If it is damaged and `on_corrupt` is `"stop"`, or all are.
        """
        for step in range(len(self.index)):
            used = (photo + step) % len(self.index)
            try:
                return self.photo(used), used
            except InputError as error:
                if self.settings.on_corrupt == "stop":
                    raise
                self._skip(used, str(error))
        raise InputError(f"{self.settings.data_dir}: no record can be read")

    def _skip(self, photo: int, why: str) -> None:
        location = self.index.location(photo)
        with self._lock:
            new = location not in self.skipped
            self.skipped[location] = why
        if new:
            logging.warning("Skipped (%d so far): %s", len(self.skipped), why)

    def photo(self, photo: int) -> np.ndarray:
        """Returns one photo of the index, `(side, side, 3)` uint8 RGB.

        The side is `changes.read_size`, the image size unless a warp needs more.

        Args:
            photo: Its position in the index.

        Raises:
            CorruptRecordError: If it cannot be read.
        """
        return self.index.image(photo, self.changes.read_size)

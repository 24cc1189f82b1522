"""Which photos and triplets make batch k, read and changed; NumPy only.

A triplet with a known truth is a record with the images `source`, `target` and
`truth` (such as `make_faces` writes, or photos with an edited copy: MobileFSGAN). The
other rows are ordinary pairs of photos; where both are one photo the truth is the
target itself. Like in `pairs`, batch k depends only on the settings and on k.
`triplets` makes a `tf.data.Dataset` of it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from facedancer.dataset.augmentation import colour
from facedancer.dataset.reading.pair_reader import PairReader, PairSettings
from facedancer.dataset.shards import shard_index
from facedancer.errors import InputError

ROLES = ("source", "target", "truth")
MARKS = ("has_truth", "same", "source_is_real")
PEOPLE = ("target_identity", "source_identity")
_STREAM = 104
# Probabilities of MobileFSGAN: colour jitter, grey source, grey target.
JITTER, GREY_SOURCE, GREY_TARGET = 0.3, 0.02, 0.01


@dataclasses.dataclass(frozen=True)
class TripletSettings:
    """How rows with and without a known truth are mixed.

    Attributes:
        photos: How ordinary pairs are drawn; its batch and image size are those of
            all rows, its jitter and flip are not used.
        triplet_dir: Shards of triplets, named as in `PairSettings.data_dir`.
        triplet_ratio: Probability that a row is a triplet; or one for each part of
            `triplet_dir` between commas.
        flip: Probability of mirroring, drawn for the source, and for target and truth
            together.
        augment: Change colours: jitter .3, grey source .02, grey target .01; the truth
            changes with the target.

    Raises:
        ValueError: If a value is out of its range.
    """

    photos: PairSettings
    triplet_dir: str
    triplet_ratio: float | tuple[float, ...] = 0.3
    flip: float = 0.5
    augment: bool = True

    def __post_init__(self) -> None:
        fractions = [fraction for _, fraction in self.parts()]
        for name, value in (
            *(("triplet_ratio", fraction) for fraction in fractions),
            ("triplet_ratio", sum(fractions)),
            ("flip", self.flip),
        ):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"`{name}` must lie in [0, 1]. Received: {value}")

    @property
    def batch_size(self) -> int:
        """Rows of a (global) batch."""
        return self.photos.batch_size

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return self.photos.image_size

    def parts(self) -> list[tuple[str, float]]:
        """Returns the parts of `triplet_dir`, each with its share.

        Raises:
            ValueError: If there is not one share for each.
        """
        if not isinstance(self.triplet_ratio, tuple):
            return [(self.triplet_dir, self.triplet_ratio)]
        names = self.triplet_dir.split(",")
        if len(names) != len(self.triplet_ratio):
            raise ValueError(
                "`triplet_ratio` must have one number for each part of `triplet_dir`. "
                f"Received: {len(self.triplet_ratio)} for {len(names)}"
            )
        return list(zip(names, self.triplet_ratio, strict=True))


class TripletReader:
    """Reads batch k; safe to use from several threads.

    Attributes:
        settings: What it was made with.
        photos: The `PairReader` of the ordinary rows.
        triplets: A `ShardIndex` for each part of the triplets.

    Args:
        settings: What to read and how to mix it.

    Raises:
        InputError: If shards are missing, or hold no triplets.
    """

    def __init__(self, settings: TripletSettings) -> None:
        self.settings = settings
        self.photos = PairReader(
            dataclasses.replace(settings.photos, jitter="none", flip=False)
        )
        self.triplets = []
        self._limits = np.cumsum([fraction for _, fraction in settings.parts()])
        for name, _ in settings.parts():
            index = shard_index.open_index(name, on_corrupt=settings.photos.on_corrupt)
            self.triplets.append(index)
            missing = set(ROLES) - set(index.features(0))
            if missing:
                raise InputError(
                    f"{name}: records of triplets need the features "
                    f"{', '.join(ROLES)}; {', '.join(sorted(missing))} are missing"
                )

    def batch(self, number: int, start: int, stop: int) -> tuple[np.ndarray, ...]:
        """Returns rows of batch `number`.

        Args:
            number: The batch.
            start: First row.
            stop: Row after the last.

        Returns:
            `(3, rows, size, size, 3)` uint8 RGB in the order of `ROLES`; `(3, rows)`
            float32: has truth, same photo, source is real; `(2, rows)` int64: the
            identities of target and source, -1 of triplets and where unknown.

        Raises:
            InputError: If a record is damaged.
        """
        photos = self.settings.photos
        target, source, same, *identities = self.photos.rows(number, start, stop)
        truth = np.where(same[:, None, None, None] == 1.0, target, np.uint8(0))
        images = np.stack([source, target, truth])
        marks = np.stack([same, same, np.ones_like(same)])
        people = np.stack(identities)
        random = np.random.default_rng([photos.seed, _STREAM, number])
        part = np.searchsorted(self._limits, random.random(photos.batch_size), "right")
        which = random.random(photos.batch_size)
        draws = random.random((photos.batch_size, 12))
        for slot, row in enumerate(range(start, stop)):
            if part[row] < len(self.triplets):
                index = self.triplets[part[row]]
                chosen = int(which[row] * len(index))
                images[:, slot], real = self._triplet(index, chosen)
                marks[:, slot], people[:, slot] = (1.0, 0.0, real), -1
            images[:, slot] = self._changed(images[:, slot], marks[0, slot], draws[row])
        return images, marks, people

    def arrays(self, number: int) -> dict[str, np.ndarray]:
        """Returns a whole batch by name, as `triplets.make_dataset` has it.

        Args:
            number: The batch.

        Returns:
            The images are `(batch, size, size, 3)` uint8 RGB.

        Raises:
            InputError: If a record is damaged.
        """
        images, marks, people = self.batch(number, 0, self.settings.batch_size)
        names = (*ROLES, *MARKS, *PEOPLE)
        return dict(zip(names, (*images, *marks, *people), strict=True))

    def _triplet(
        self, index: shard_index.ShardIndex, number: int
    ) -> tuple[np.ndarray, float]:
        features = index.features(number)
        size, location = self.settings.photos.image_size, index.location(number)
        images = [
            shard_index.decode_image(features.get(role), size, location, role)
            for role in ROLES
        ]
        return np.stack(images), float(features.get("source_is_real", 1))

    def _changed(
        self, images: np.ndarray, has_truth: float, draws: np.ndarray
    ) -> np.ndarray:
        """Mirrors and recolours one row; the truth goes with the target."""
        source, target, truth = images
        if draws[0] < self.settings.flip:
            source = source[:, ::-1]
        if draws[1] < self.settings.flip:
            target, truth = target[:, ::-1], truth[:, ::-1]
        if self.settings.augment:
            source = _recolour([source], GREY_SOURCE, draws[2:7])[0]
            known = [target, truth] if has_truth else [target]
            target, *rest = _recolour(known, GREY_TARGET, draws[7:12])
            truth = rest[0] if rest else truth
        return np.stack([source, target, truth])


def _recolour(
    images: list[np.ndarray], grey_ratio: float, draws: np.ndarray
) -> list[np.ndarray]:
    """Returns the images, all changed alike: the colour map is the first image's."""
    if draws[0] < JITTER:
        change = colour.jitter_map(images[0], draws[1:4])
        images = [colour.apply_map(image, change) for image in images]
    if draws[4] < grey_ratio:
        images = [colour.grey(image) for image in images]
    return images

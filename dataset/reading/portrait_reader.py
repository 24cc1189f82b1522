"""Which portraits make batch k, distorted and with where their parts are; NumPy only.

For systems that learn to restore a person's own photo: of two people a batch of each
(`TwoPeopleReader`), of many a batch of all with their numbers (`PeopleReader`). As in
`pair_reader`, batch k depends only on the settings and on k. `portraits` makes a
`tf.data.Dataset` of it.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from facedancer.dataset.augmentation import colour, distortion
from facedancer.dataset.reading import sampling
from facedancer.dataset.reading.pair_reader import PairReader, PairSettings
from facedancer.dataset.reading.portrait_people import Person, people_of, two_people
from facedancer.face import alignment, face_maps

# What is known of each portrait: itself, its distorted copy, and of both where face,
# eyes, and nose and mouth are.
IMAGES = ("photo", "distorted", "features", "distorted_features")
SIDES = ("_a", "_b")
_PORTRAIT = 107
_EYES, _BELOW = 1, 2  # channels of a semantic mask


@dataclasses.dataclass(frozen=True)
class PortraitSettings(PairSettings):
    """How portraits are drawn and distorted.

    What only pairs have (same_ratio, pairing, window) is not used.

    Attributes:
        person: One person by name, against all others as the second one; empty: there
            are two people.
        part_swap: Probability that eyes, or nose and mouth, of a distorted copy are
            another person's.
        low_quality: Probability that a distorted copy is made of few pixels.

    Raises:
        ValueError: If a value is out of its range.
    """

    person: str = ""
    part_swap: float = 0.0
    low_quality: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("part_swap", "low_quality"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(
                    f"`{name}` must lie in [0, 1]. Received: {getattr(self, name)}"
                )
        if self.jitter == "legacy":
            raise ValueError(
                "`jitter` of portraits must be per_image or none. Received: legacy"
            )


class PortraitReader(PairReader, abc.ABC):
    """What the readers share: portraits of a batch, distorted; safe to use in threads.

    Attributes:
        people: Who is learned.
        names: The images of a batch, in order.
        labels: Whether a batch says who is shown.

    Args:
        settings: What to read and how to distort it.

    Raises:
        InputError: If the shards are missing or do not show the people that are needed.
    """

    settings: PortraitSettings
    names: tuple[str, ...] = IMAGES
    labels = False

    def __init__(self, settings: PortraitSettings) -> None:
        super().__init__(settings)
        self.people = self.choose()
        self._samplers = self._draw_from([one.photos for one in self.people])

    @abc.abstractmethod
    def choose(self) -> list[Person]:
        """Returns the people who are learned."""

    @abc.abstractmethod
    def images(
        self, number: int, start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows of batch `number`, and who they show.

        Args:
            number: The batch.
            start: First row.
            stop: Row after the last.

        Returns:
            `(len(names), rows, size, size, 3)` uint8; `(rows,)` int64 labels, zeros
            where there are none.

        Raises:
            InputError: If a record is damaged and `on_corrupt` is `"stop"`.
        """

    def arrays(self, number: int) -> dict[str, np.ndarray]:
        """Returns a whole batch by name, images `(batch, size, size, 3)` uint8.

        Args:
            number: The batch.

        Raises:
            InputError: If a record is damaged and `on_corrupt` is `"stop"`.
        """
        images, labels = self.images(number, 0, self.settings.batch_size)
        found = dict(zip(self.names, images, strict=True))
        return found | ({"label": labels} if self.labels else {})

    def _draw_from(self, people: Sequence[np.ndarray]) -> list[sampling.PairSampler]:
        """Returns what draws photos, one for each of some sets.

        Args:
            people: Positions in the index, of each set.
        """
        given = self.settings
        return [
            sampling.PairSampler(
                self.index.identity[photos],
                self.index.folder[photos],
                given.batch_size,
                same_ratio=0.0,
                balance=given.balance,
                shuffle=given.shuffle,
                seed=given.seed + 7919 * number,
            )
            for number, photos in enumerate(people)
        ]

    def portraits(
        self,
        photos: np.ndarray,
        others: np.ndarray,
        place: tuple[int, int],
        rows: range,
    ) -> np.ndarray:
        """Returns some rows of a batch of photos.

        Args:
            photos: Of the whole batch, positions in the index.
            others: Whose parts may be taken, and all whose colours may be.
            place: Number of the batch, and of the set of people.
            rows: Which rows.

        Returns:
            `(len(IMAGES), rows, size, size, 3)` uint8.
        """
        found = [
            self._portrait(int(photos[row]), others, [*place, row]) for row in rows
        ]
        return np.stack(found, axis=1)

    def _portrait(self, photo: int, others: np.ndarray, key: list[int]) -> np.ndarray:
        given, changes = self.settings, self.changes
        random = np.random.default_rng([given.seed, _PORTRAIT, *key])
        image, used = self.cache.get(photo)
        known = face_maps.semantic_mask(self._landmarks(used), image.shape[0])
        features = (255 * known).astype(np.uint8)

        def another() -> np.ndarray:
            return self.cache.get(int(random.choice(others)))[0]

        drawn = changes.draw(
            lambda: distortion.middle_statistics(image),
            lambda: distortion.middle_statistics(another()),
            random,
        )
        source = image
        if random.random() < given.part_swap:
            source = with_part(image, another(), features, int(random.integers(2)))
        seen = [drawn.applied(one) for one in (image, source)]
        if drawn.matrix is not None:
            features = distortion.warped([features], drawn.matrix)[0]
        parts = [*seen, features]
        if changes.distortion == "warp":
            parts = [distortion.with_border(one) for one in parts]
        made = self._distorted(parts, random)
        if random.random() < given.low_quality:
            made[1] = of_few_pixels(made[1], random)
        return self._jittered(np.stack(made), random)

    def _landmarks(self, photo: int) -> np.ndarray:
        side = self.changes.read_size
        found = self.index.landmarks(photo, side)
        if found is None:
            known = self.index.alignment
            found = alignment.template(side) if known is None else known.landmarks(side)
        return found

    def _distorted(
        self,
        parts: Sequence[np.ndarray],
        random: np.random.Generator,
    ) -> list[np.ndarray]:
        """Returns the four images of a portrait at their size.

        Args:
            parts: The photo, what its distortion is made of, and the map of the face.
            random: Of this portrait alone.
        """
        (image, source, features), changes = parts, self.changes
        if changes.distortion == "warp":
            warp = distortion.draw_warp(image.shape[0], changes.image_size, random)
            return [
                warp.straight(image),
                warp.distorted(source),
                warp.straight(features),
                warp.distorted(features),
            ]
        photo, source = changes.straight(image), changes.straight(source)
        if changes.distortion == "corruption":
            source = distortion.corrupt(source, features[..., 0], random)
        return [photo, source, features, features]

    def _jittered(self, images: np.ndarray, random: np.random.Generator) -> np.ndarray:
        mirror, *draws = random.random(4)
        if self.settings.flip and mirror < 0.5:
            images = images[:, :, ::-1]
        if self.settings.jitter == "per_image":
            change = colour.jitter_map(images[0], np.array(draws))
            pictures = [colour.apply_map(image, change) for image in images[:2]]
            images = np.stack([*pictures, *images[2:]])
        return images


def with_part(
    image: np.ndarray, other: np.ndarray, features: np.ndarray, part: int
) -> np.ndarray:
    """Returns a photo with eyes, or nose and mouth, of another one.

    Args:
        image: `(size, size, 3)` uint8, aligned.
        other: The same, of somebody else, aligned alike.
        features: `(size, size, 3)` uint8, where the parts of `image` are.
        part: 0 for the eyes, 1 for nose and mouth.
    """
    size = image.shape[0]
    edge = max(3, size // 24) | 1
    mask = features[..., (_EYES, _BELOW)[part]]
    soft = cv2.GaussianBlur(mask, (edge, edge), 0)[..., None] / 255.0
    return np.rint(soft * other + (1.0 - soft) * image).astype(np.uint8)


def of_few_pixels(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns a photo made smaller by 2 to 4, and enlarged again.

    Args:
        image: `(size, size, 3)` uint8.
        random: Random numbers.
    """
    size = image.shape[0]
    small = max(1, round(size / random.uniform(2.0, 4.0)))
    tiny = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(tiny, (size, size), interpolation=cv2.INTER_LINEAR)


class TwoPeopleReader(PortraitReader):
    """Reads a batch of portraits of each of two people."""

    names = tuple(f"{name}{side}" for side in SIDES for name in IMAGES)

    def choose(self) -> list[Person]:
        """Returns the two people."""
        return two_people(self.index, self.settings.person)

    def images(
        self, number: int, start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows of batch `number` of both people, and zeros for labels.

        Args:
            number: The batch.
            start: First row.
            stop: Row after the last.
        """
        drawn = [
            one.photos[sampler.batch(number).target]
            for one, sampler in zip(self.people, self._samplers, strict=True)
        ]
        others, rows = np.concatenate(drawn[::-1]), range(start, stop)
        found = [
            self.portraits(photos, others, (number, side), rows)
            for side, photos in enumerate(drawn)
        ]
        return np.concatenate(found), np.zeros(stop - start, np.int64)


class PeopleReader(PortraitReader):
    """Reads batches of portraits of any number of people, with their labels."""

    labels = True

    def __init__(self, settings: PortraitSettings) -> None:
        super().__init__(settings)
        self._samplers = self._draw_from([np.arange(len(self.index))])
        self._label = np.empty(len(self.index), np.int64)
        for number, one in enumerate(self.people):
            self._label[one.photos] = number

    def choose(self) -> list[Person]:
        """Returns all people."""
        return people_of(self.index)

    def images(
        self, number: int, start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows of batch `number`, and who they show.

        Args:
            number: The batch.
            start: First row.
            stop: Row after the last.
        """
        drawn = self._samplers[0].batch(number).target
        rows = range(start, stop)
        return self.portraits(drawn, drawn, (number, 0), rows), self._label[drawn[rows]]

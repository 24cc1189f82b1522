"""The frozen networks that look on while others train."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from facedancer.networks.tensors import Tensor
from facedancer.train.frozen.face_parsing import FaceParsing
from facedancer.train.frozen.face_points import FacePoints
from facedancer.train.frozen.people import People
from facedancer.train.frozen.perceptual import Perceptual
from facedancer.train.frozen.projector import Features
from facedancer.train.frozen.proxy import Proxy
from facedancer.train.frozen.teachers import Teacher

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class FrozenNetworks:
    """What judges the swapped faces, and is not trained.

    A field is None, numbers, or something with a `network`.

    Attributes:
        teacher: The identity encoder; its vectors condition the generator. None for
            systems without one.
        margins: IFSR margins of the teacher's taps.
        second: A second identity encoder, or None.
        perceptual: How the perceptual loss sees images.
        proxy: Makes pseudo targets with a known truth, or None.
        features: What a discriminator judges by instead of images, or None.
        people: What the identity encoders know of the people of the photos: those of
            the teacher, then those of the second one; empty where it is not asked for.
        parsing: Tells the parts of faces apart, or None.
        points: Sees where the landmarks of faces are, or None.
    """

    teacher: Teacher | None = None
    margins: tuple[float, ...] = ()
    second: Teacher | None = None
    perceptual: Perceptual = Perceptual()
    proxy: Proxy | None = None
    features: Features | None = None
    people: tuple[People, ...] = ()
    parsing: FaceParsing | None = None
    points: FacePoints | None = None

    def needed(self, name: str, one: T | None) -> T:
        """Returns a field of these that a system cannot do without.

        Args:
            name: Of the field, for the message.
            one: Its value.

        Raises:
            ValueError: If it is None.
        """
        if one is None:
            raise ValueError(f"This training needs a frozen `{name}`. Received: None")
        return one

    @property
    def variables(self) -> list:
        """The variables of all of them, each once."""
        networks = (getattr(one, "network", None) for one in vars(self).values())
        holders = (*networks, self.features, *self.people)
        found = {
            id(variable): variable
            for one in holders
            if one is not None
            for variable in one.variables
        }
        return list(found.values())

    def person_vector(self, number: int, person: Tensor, vector: Tensor) -> Tensor:
        """Returns what stands for people with one of the encoders.

        Args:
            number: 0 for the teacher, 1 for the second encoder.
            person: `(batch,)` who they are, -1 where unknown.
            vector: `(batch, d)` identity vectors of the photos at hand.

        Returns:
            The mean direction of their other photos where `people` are known, else the
            vectors.
        """
        return self.people[number].others(person, vector) if self.people else vector

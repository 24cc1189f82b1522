"""The frozen networks that look on while others train."""

from __future__ import annotations

import dataclasses

from facedancer.train.frozen.perceptual import Perceptual
from facedancer.train.frozen.proxy import Proxy
from facedancer.train.frozen.teachers import Teacher


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
    """

    teacher: Teacher | None = None
    margins: tuple[float, ...] = ()
    second: Teacher | None = None
    perceptual: Perceptual = Perceptual()
    proxy: Proxy | None = None

    @property
    def variables(self) -> list:
        """The variables of all of them, each once."""
        networks = (getattr(one, "network", None) for one in vars(self).values())
        found = {
            id(variable): variable
            for network in networks
            if network is not None
            for variable in network.variables
        }
        return list(found.values())

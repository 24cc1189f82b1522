"""The frozen networks that look on while others train."""

from __future__ import annotations

import dataclasses

from facedancer.train.frozen.perceptual import Perceptual
from facedancer.train.frozen.proxy import Proxy
from facedancer.train.frozen.teachers import Teacher


@dataclasses.dataclass(frozen=True)
class FrozenNetworks:
    """What judges the swapped faces, and is not trained.

    Attributes:
        teacher: The identity encoder; its vectors condition the generator.
        margins: IFSR margins of the teacher's taps.
        second: A second identity encoder, or None.
        perceptual: How the perceptual loss sees images.
        proxy: Makes pseudo targets with a known truth, or None.
    """

    teacher: Teacher
    margins: tuple[float, ...] = ()
    second: Teacher | None = None
    perceptual: Perceptual = Perceptual()
    proxy: Proxy | None = None

    @property
    def variables(self) -> list:
        """The variables of all of them, each once."""
        networks = (
            self.teacher.encoder,
            self.second and self.second.encoder,
            self.perceptual.network,
            self.proxy and self.proxy.generator,
        )
        found = {
            id(variable): variable
            for network in networks
            if network is not None
            for variable in network.variables
        }
        return list(found.values())

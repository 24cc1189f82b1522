"""Parameters and multiply-accumulates of a network, without building it.

Counted are convolutions and dense layers, one image; adding a bias, norms, activations
and resampling are left out. A FLOP count is about twice these.
"""

from __future__ import annotations

from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.families.facedancer.discriminator import discriminator_graph
from facedancer.models.families.facedancer.generator import generator_graph
from facedancer.networks.network import Cost


class CountingParts:
    """Counts instead of building: a map is the tuple `(height, width, channels)`.

    Takes the place of `layer_ops.LayerParts`.

    Args:
        composed: Whether pooling comes before convolution; else as published.
    """

    def __init__(self, composed: bool = False) -> None:
        self.composed = composed
        self.parameters = 0
        self.macs = 0

    def _conv(
        self, shape: tuple[int, int], inputs: int, filters: int, size: int
    ) -> tuple[int, ...]:
        height, width = shape
        self.macs += height * width * size**2 * inputs * filters
        self.parameters += size**2 * inputs * filters + filters
        return height, width, filters

    def input(self, shape: tuple[int, ...], name: str) -> tuple[int, ...]:
        """Returns the shape."""
        return shape

    def conv(
        self,
        x: tuple[int, ...],
        filters: int,
        size: int,
        name: str,
        padding: str = "same",
    ) -> tuple[int, ...]:
        """Counts a convolution of stride 1."""
        height, width, channels = x
        cut = 0 if padding == "same" else size - 1
        return self._conv((height - cut, width - cut), channels, filters, size)

    def pooled_conv(
        self, x: tuple[int, ...], filters: int, size: int, name: str
    ) -> tuple[int, ...]:
        """Counts a convolution and 2x2 pooling."""
        height, width, channels = x
        half = (height // 2, width // 2)
        self._conv(half if self.composed else (height, width), channels, filters, size)
        return *half, filters

    def dense(self, x: tuple[int, ...], units: int, name: str) -> tuple[int, ...]:
        """Counts an affine map."""
        self.macs += x[-1] * units
        self.parameters += x[-1] * units + units
        return (units,)

    def norm(self, x: tuple[int, ...], name: str) -> tuple[int, ...]:
        """Counts the two numbers per channel."""
        self.parameters += 2 * x[-1]
        return x

    def modulated_norm(
        self, x: tuple[int, ...], w: tuple[int, ...], name: str
    ) -> tuple[int, ...]:
        """Counts an instance norm and AdaIN's two affine maps."""
        self.norm(x, name)
        self.dense(w, 2 * x[-1], name)
        return x

    def mask(self, x: tuple[int, ...], filters: int, name: str) -> tuple[int, ...]:
        """Counts an instance norm and a 1x1 convolution."""
        return self.conv(self.norm(x, name), filters, 1, name)

    def normalise(self, x: tuple[int, ...], name: str) -> tuple[int, ...]:
        """Returns the shape."""
        return x

    def leaky(self, x: tuple[int, ...], name: str) -> tuple[int, ...]:
        """Returns the shape."""
        return x

    def add(self, a: tuple[int, ...], b: tuple[int, ...], name: str) -> tuple[int, ...]:
        """Returns the shape."""
        return a

    def up_sum(
        self, a: tuple[int, ...], b: tuple[int, ...], name: str
    ) -> tuple[int, ...]:
        """Returns the doubled shape."""
        return 2 * a[0], 2 * a[1], a[2]

    def concat(
        self, a: tuple[int, ...], b: tuple[int, ...], name: str
    ) -> tuple[int, ...]:
        """Returns the shape with the channels of both."""
        return a[0], a[1], a[2] + b[2]

    def multiply(
        self, a: tuple[int, ...], b: tuple[int, ...], name: str
    ) -> tuple[int, ...]:
        """Returns the shape of the product of two masks."""
        return max(a, b)

    def blend(
        self, m: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...], name: str
    ) -> tuple[int, ...]:
        """Returns the shape."""
        return a

    def output(self, x: tuple[int, ...], activation: str, name: str) -> tuple[int, ...]:
        """Returns the shape."""
        return x

    def flat(self, x: tuple[int, ...], name: str) -> tuple[int, ...]:
        """Returns the length of all values."""
        return (x[0] * x[1] * x[2],)


def count(
    config: GeneratorConfig | DiscriminatorConfig, composed: bool = False
) -> Cost:
    """Returns what a network of this structure costs.

    Args:
        config: Its structure.
        composed: Counts the form in which pooling comes before convolution; else the
            published form.

    Example:

    >>> count(GeneratorConfig())
    Cost(parameters=24505894, macs=28856287232)
    """
    parts = CountingParts(composed)
    if isinstance(config, GeneratorConfig):
        generator_graph(config, parts)
    else:
        discriminator_graph(config, parts)
    return Cost(parts.parameters, parts.macs)

"""Pseudo targets with a known truth, made by a generator that already swaps.

Of two photos of one person, one is swapped to somebody else and becomes the target, the
other one is the source; the right answer is the first photo itself (ReliableSwap, Yuan
et al. 2023; DreamID, Ye et al. 2025). So what only pairs of one photo had, a truth to
compare with, is there for different people, and the generator learns to undo what its
predecessor paints, since none of it is in a photo.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from facedancer.errors import InputError
from facedancer.models.families.built_network import SwapperNetwork
from facedancer.networks.tensors import Tensor
from facedancer.storage import weights

_FED = {"target", "identity"}
_STRENGTH = (0.7, 1.3)  # of the other identity; so that it is no constant sign
_SOFT = 0.7  # largest fraction of a blurred copy in a pseudo target


@dataclasses.dataclass(frozen=True)
class Proxy:
    """A frozen generator, and people it can swap to.

    Attributes:
        generator: Of the same encoder as the one that is trained.
        vectors: `(people, d)` float32, identity vectors that were measured on photos.

    Raises:
        ValueError: If their sizes do not fit.
    """

    generator: SwapperNetwork
    vectors: np.ndarray

    def __post_init__(self) -> None:
        size = self.generator.config.identity_size
        if self.vectors.ndim != 2 or self.vectors.shape[1] != size:
            raise ValueError(
                f"The proxy takes vectors of {size} numbers. Received: shape "
                f"{self.vectors.shape}"
            )
        self.generator.trainable = False

    @property
    def network(self) -> keras.Model:
        """The generator."""
        return self.generator

    def draws(self, random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
        """Returns the random numbers of pseudo targets, `(count,)` in [0, 1) by name.

        Args:
            random: Of this step alone.
            count: The global batch.
        """
        names = ("proxy_chosen", "proxy_person", "proxy_strength", "proxy_soft")
        return {name: random.random(count, np.float32) for name in names}

    def __call__(
        self,
        image: Tensor,
        vector: Tensor,
        batch: Mapping[str, Tensor],
        outside: Tensor,
    ) -> Tensor:
        """Returns photos with other people's faces, as the programs paste them.

        Args:
            image: `(batch, height, width, 3)` in [-1, 1].
            vector: `(batch, d)`, whom they show.
            batch: With the numbers of `draws`.
            outside: `(1, height, width, 1)`, 1 where the photo stays, 0 on the face.

        Returns:
            The same shape, without gradients.
        """
        image = ops.convert_to_tensor(image)
        swapped = self._swap(image, self._somebody(vector, batch))
        soft = ops.average_pool(swapped, 3, strides=1, padding="same")
        part = _SOFT * batch["proxy_soft"][:, None, None, None]
        swapped = swapped + part * (soft - swapped)
        return ops.stop_gradient(swapped + outside * (image - swapped))

    def _somebody(self, vector: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns identities on the way from the photo's to that of somebody else."""
        people = ops.convert_to_tensor(self.vectors)
        index = ops.cast(batch["proxy_person"] * len(self.vectors), "int32")
        other = ops.take(people, ops.minimum(index, len(self.vectors) - 1), axis=0)
        low, high = _STRENGTH
        fraction = (low + (high - low) * batch["proxy_strength"])[:, None]
        mixed = (1.0 - fraction) * _unit(vector) + fraction * _unit(other)
        return _unit(mixed) * ops.norm(other, axis=1, keepdims=True)

    def _swap(self, image: Tensor, vector: Tensor) -> Tensor:
        side, height = self.generator.config.image_size, image.shape[1]
        if self.generator.contract.identity.unit:
            vector = _unit(vector)
        if side != height:
            small = ops.image.resize(image, (side, side), antialias=True)
            return ops.image.resize(self._made(small, vector), image.shape[1:3])
        return self._made(image, vector)

    def _made(self, image: Tensor, vector: Tensor) -> Tensor:
        found = self.generator.named({"target": image, "identity": vector})
        return ops.cast(found["swapped"], "float32")


def _unit(vector: Tensor) -> Tensor:
    return vector / ops.maximum(ops.norm(vector, axis=1, keepdims=True), 1e-12)


def check(generator: SwapperNetwork, encoder_name: str, shrink: float) -> None:
    """Refuses a generator that does not understand the training's identities or crops.

    Args:
        generator: The proxy.
        encoder_name: `name_with_hash` of the training's encoder.
        shrink: Of the training's crops.

    Raises:
        InputError: If it is told or fed other than a vector and the target, was trained
            with another encoder, or for other crops.
    """
    contract, config = generator.contract, generator.config
    if set(contract.inputs) != _FED or contract.image.value_range != "signed":
        raise InputError(
            "--proxy_generator must be fed a target in [-1, 1] and an identity vector. "
            f"Received: {type(generator).__name__}, which is fed "
            f"{', '.join(contract.inputs)}"
        )
    if not weights.same_vectors(config.encoder, encoder_name):
        raise InputError(
            f"--proxy_generator was trained with the encoder "
            f"{config.encoder or 'unknown'}, this training's is {encoder_name}: its "
            "swaps would show nobody. Give one that was trained with this encoder"
        )
    if config.shrink != shrink:
        raise InputError(
            f"--proxy_generator takes crops of --shrink_factor={config.shrink:g}, "
            f"these are of {shrink:g}"
        )

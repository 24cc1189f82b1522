"""What the networks of all families share: a config, a graph of parts, a role."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.networks.contract import SwapContract
from facedancer.networks.network import Network
from facedancer.networks.tensors import Dtype
from facedancer.networks.vectors import normalize


class BuiltNetwork(Network):
    """A network that is built from a frozen config and one kind of parts.

    A subclass sets the class attributes, `graph` among them, and hands the parts to
    `super().__init__`; `get_config`, `.keras` and `.h5` follow.

    Args:
        config: Its structure, of `config_class`.
        parts: What it is built from, see `layer_ops.Parts`.
        name: Name of the model.
        **settings: Further arguments of the subclass, as a file keeps them.

    Attributes:
        config_class: The frozen record of its structure, with `to_dict`, `from_dict`
            and `describe`.
        role: What it is in its family: `generator`, `discriminator`, ...
        graph: A static method from the structure and what to build from to inputs and
            outputs, each one, a list, or outputs by name.
    """

    config_class: type[Any]
    role = "network"
    graph: Callable[[Any, Any], tuple[Any, Any]]

    def __init__(self, config: Any, parts: Any, name: str, **settings: object) -> None:
        inputs, outputs = self.graph(config, parts)
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self._config = config
        masks = getattr(parts, "masks", ())
        self._masks = tuple(mask._keras_history.operation.name for mask in masks)
        self._remember(config=config.to_dict(), **settings)

    @classmethod
    def resolve(cls, config: Any, dtype: Dtype) -> tuple[Any, keras.DTypePolicy]:
        """Returns the config of a dict of one, and the policy of a name or of None.

        Args:
            config: Of `config_class`, or its `to_dict`.
            dtype: A policy, its name, or None for the global one.
        """
        if isinstance(config, dict):
            config = cls.config_class.from_dict(config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        return config, policy

    @property
    def config(self) -> Any:
        """The record it was built from."""
        return self._config

    @property
    def form(self) -> str:
        """Its form, see `forms`."""
        return self.get_config()["form"]

    def resized(self, image_size: int) -> BuiltNetwork:
        """Returns a network with the same weights for images of another size.

        Args:
            image_size: Side of its images in pixels.

        Raises:
            InputError: If it cannot work at that size, or has weights that follow from
                the size of its images.
        """
        settings = self.get_config()
        try:
            config = dataclasses.replace(self._config, image_size=image_size)
            made = type(self).from_config({**settings, "config": config.to_dict()})
            made.set_weights(self.get_weights())
        except ValueError as error:
            raise InputError(
                f"A {type(self).__name__} for images of {self._config.image_size} "
                f"pixels cannot go on with images of {image_size}: {error}"
            ) from None
        return made

    def describe(self) -> str:
        """Returns what the network is and costs, in one line."""
        return f"{self.role}, {self._config.describe()}, {self._cost_text()}"


class SwapperNetwork(BuiltNetwork):
    """A network that swaps: what it is fed and what it gives is a `SwapContract`."""

    @property
    def fusion_masks(self) -> list:
        """The symbolic masks of its blends, smallest first; none where it has none."""
        return [self.get_layer(name).output for name in self._masks]

    @property
    def contract(self) -> SwapContract:
        """The `SwapContract` of the config."""
        return self._config.contract

    def example_inputs(self, batch: int = 2, seed: int = 0) -> dict[str, np.ndarray]:
        """Returns seeded inputs by name, see `Network.example_inputs`.

        Args:
            batch: How many examples.
            seed: Of the random numbers.

        Returns:
            As of any network, but identities have length one where the contract says
            so: what a swapper never sees may end in numbers without end.
        """
        made = super().example_inputs(batch, seed)
        if "identity" in made and self.contract.identity.unit:
            made["identity"] = normalize(made["identity"])
        return made

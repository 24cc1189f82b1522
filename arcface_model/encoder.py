"""What all identity encoders share: input contract, taps, a name for their weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import keras
import numpy as np

from facedancer.networks import folding
from facedancer.networks.contract import InputContract
from facedancer.networks.network import Network


class Encoder(Network):
    """An aligned crop in, a raw identity vector out: `(batch, d)`, not normalised.

    Subclasses say these two, and their taps, and build a functional graph.

    Attributes:
        architecture: Short name of the architecture.
        value_range: The range its input is in, see `InputContract`.
    """

    architecture = "encoder"
    value_range = "signed"

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the layers whose maps IFSR compares by default."""
        return ()

    @staticmethod
    def norm_names(conv: str) -> tuple[str, ...]:
        """Returns the names that the batch norm behind a convolution may have.

        Args:
            conv: Name of the convolution.
        """
        return (f"{conv}_bn",)

    @property
    def contract(self) -> InputContract:
        """What the network wants to be fed."""
        return InputContract(self.input_shape[1], self.value_range)

    @property
    def embedding_size(self) -> int:
        """Length of the identity vector."""
        return self.output_shape[-1]

    @property
    def name_with_hash(self) -> str:
        """The architecture and the first 8 hex digits of its weights' SHA-256.

        Two encoders with equal weights have equal names, however they were saved. A
        folded encoder has the name of the one it was made from.
        """
        if self.get_config().get("folded_from"):
            return self.get_config()["folded_from"]
        digest = hashlib.sha256()
        for weight in self.weights:
            array = keras.ops.convert_to_numpy(weight).astype("<f4")
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return f"{self.architecture}@{digest.hexdigest()[:8]}"


def fold(encoder: Encoder) -> Encoder:
    """Returns an equal encoder with its batch norms folded into the convolutions.

    For a frozen encoder: less work forward and backward. It cannot be trained on.

    Args:
        encoder: Any encoder; one that is folded already, or whose graph was read from
            a file, is returned as it is.
    """
    config = encoder.get_config()
    if config.get("folded_from", "read") or config.get("trunk") is not None:
        return encoder
    folded = type(encoder).from_config(
        {**config, "folded_from": encoder.name_with_hash}
    )
    folding.transfer(encoder, folded, encoder.norm_names)
    folded.trainable = False
    return folded


def unfold(folded: Encoder, encoder: Encoder) -> None:
    """Gives an encoder the values of a folded one of the same structure.

    Args:
        folded: From `fold`, trained on or not.
        encoder: With batch norms; it is changed.
    """
    folding.transfer_back(folded, encoder, encoder.norm_names)


def tap_model(encoder: keras.Model, names: Sequence[str] | None = None) -> keras.Model:
    """Returns a model that also gives the maps inside an encoder.

    It shares the weights of the encoder.

    Args:
        encoder: What `load_encoder` or a builder gave.
        names: Layer names; None for `encoder.taps`.

    Returns:
        A model from the encoder's input to a dictionary: one `(batch, height, width,
        channels)` map by layer name, and `"embedding"`, `(batch, d)`.

    Raises:
        ValueError: If the encoder has no such layer.
    """
    names = tuple(encoder.taps if names is None else names)
    known = {layer.name: layer for layer in encoder.layers}
    unknown = [name for name in names if name not in known]
    if unknown:
        maps = [name for name in known if name.endswith("_out")]
        raise ValueError(
            f"Unknown taps. Known maps: {maps}. Received: {', '.join(unknown)}"
        )
    outputs = {name: known[name].output for name in names}
    outputs["embedding"] = encoder.output
    return keras.Model(encoder.input, outputs, name=f"{encoder.name}_taps")

"""How training looks at images through frozen networks.

A `Teacher` is an identity encoder with its taps. Its view of an image may be a random
crop and flip; images are resampled bilinearly, as `tf.image.resize` does it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from facedancer.arcface_model import tap_model
from facedancer.errors import InputError
from facedancer.inference import batching
from facedancer.networks.tensors import Tensor
from facedancer.train.frozen.compiled import compiled

VIEW_SCALE, VIEW_SHIFT = 0.03, 0.03


@dataclasses.dataclass(frozen=True)
class View:
    """Which part of each image an encoder is shown.

    Attributes:
        scale: `(batch,)` side of the part, 1 is the whole image.
        shift: `(batch, 2)` from the image's centre to the part's, x and y, in units of
            the image's side.
        mirrored: `(batch,)` 1 for a mirrored view, else 0.
    """

    scale: Tensor
    shift: Tensor
    mirrored: Tensor


def whole_view(batch: int, shrink: float = 1.0) -> View:
    """Returns the view of the whole image, or of its centre.

    Args:
        batch: Number of images.
        shrink: Side of the part in units of the image's side.
    """
    return View(
        ops.full((batch,), shrink, "float32"),
        ops.zeros((batch, 2), "float32"),
        ops.zeros((batch,), "float32"),
    )


def random_view(random: np.random.Generator, batch: int, shrink: float = 1.0) -> View:
    """Returns a random view: 3 % larger or smaller, moved by up to 3 %, mirrored.

    Args:
        random: Of this step alone; equal ones give equal views, whatever Keras runs
            on.
        batch: Number of images.
        shrink: Side of the part at the mean scale.
    """
    draw = random.uniform(-1.0, 1.0, (batch, 4)).astype(np.float32)
    return View(
        shrink * (1.0 + VIEW_SCALE * draw[:, 0]),
        VIEW_SHIFT * shrink * draw[:, 1:3],
        (draw[:, 3] > 0.0).astype(np.float32),
    )


def _weights(
    centre: Tensor, scale: Tensor, mirrored: Tensor, size: int, output: int
) -> Tensor:
    """Returns the `(batch, output, size)` matrices of bilinear interpolation."""
    grid = (ops.arange(output, dtype="float32") + 0.5) / output - 0.5
    grid = grid[None] * (scale * (1.0 - 2.0 * mirrored))[:, None]
    position = (grid + centre[:, None] + 0.5) * size - 0.5
    position = ops.clip(position, 0.0, size - 1.0)
    pixels = ops.arange(size, dtype="float32")
    return ops.relu(1.0 - ops.abs(position[:, :, None] - pixels))


def resample(image: Tensor, view: View, size: int) -> Tensor:
    """Cuts views out of images, bilinearly; beyond the border its pixels repeat.

    Args:
        image: `(batch, height, width, channels)` float32.
        view: One per image.
        size: Side of the result, pixels.

    Returns:
        `(batch, size, size, channels)` float32. The view of the whole image equals
        `tf.image.resize(image, (size, size))`.
    """
    height, width = image.shape[1:3]
    never = ops.zeros_like(view.mirrored)
    rows = _weights(view.shift[:, 1], view.scale, never, height, size)
    columns = _weights(view.shift[:, 0], view.scale, view.mirrored, width, size)
    channels = image.shape[3]
    image = ops.reshape(image, (-1, height, width * channels))
    image = ops.reshape(ops.matmul(rows, image), (-1, size, width, channels))
    image = ops.transpose(image, (0, 2, 1, 3))  # (batch, width, size, channels)
    image = ops.reshape(image, (-1, width, size * channels))
    image = ops.reshape(ops.matmul(columns, image), (-1, size, size, channels))
    return ops.transpose(image, (0, 2, 1, 3))


def tap_widths(encoder: keras.Model, names: tuple[str, ...]) -> tuple[int, ...]:
    """Returns how many channels maps inside an encoder have.

    Args:
        encoder: From `arcface_model.load_encoder`.
        names: Layer names.
    """
    return tuple(encoder.get_layer(name).output.shape[-1] for name in names)


class Teacher:
    """A frozen identity encoder, seen by the training step.

    Args:
        encoder: From `arcface_model.load_encoder`; it is not changed but frozen.
        taps: Layers whose maps are wanted besides the embedding.
        shrink: Side of the centre of the crops that shows the encoder's template.

    Raises:
        InputError: If the encoder has no such layers.
    """

    def __init__(
        self, encoder: keras.Model, taps: tuple[str, ...] = (), shrink: float = 1.0
    ) -> None:
        encoder.trainable = False
        self.encoder = self.network = encoder
        self.contract = encoder.contract
        self.taps = tuple(taps)
        self.shrink = shrink
        self._vectors = compiled(lambda image: encoder(image, training=False), encoder)
        try:
            self._model = tap_model(encoder, self.taps)
        except ValueError as error:
            raise InputError(
                f"The encoder {encoder.name!r} has no such IFSR blocks: {error}"
            ) from None

    def prepare(self, image_signed: Tensor, view: View) -> Tensor:
        """Returns images as the encoder wants them.

        Args:
            image_signed: `(batch, height, width, 3)` in [-1, 1].
            view: Which part of them.
        """
        image = resample(ops.cast(image_signed, "float32"), view, self.contract.size)
        return self.contract.from_signed(image)

    def __call__(self, image_signed: Tensor, view: View) -> tuple[list[Tensor], Tensor]:
        """Returns `maps, embedding` of images.

        Args:
            image_signed: `(batch, height, width, 3)` in [-1, 1].
            view: Which part of them.
        """
        outputs: Any = self._model(self.prepare(image_signed, view), training=False)
        maps = [ops.cast(outputs[name], "float32") for name in self.taps]
        return maps, ops.cast(outputs["embedding"], "float32")

    def embed(self, images_signed: np.ndarray) -> np.ndarray:
        """Returns raw identity vectors, `(batch, d)` float32.

        Args:
            images_signed: `(batch, height, width, 3)` float32 in [-1, 1].
        """
        count = len(images_signed)
        full = batching.power_of_two(count)  # few shapes are compiled
        images_signed = batching.fill_up(images_signed, full)
        image = self.prepare(images_signed, whole_view(full, self.shrink))
        return np.asarray(self._vectors(image), np.float32)[:count]

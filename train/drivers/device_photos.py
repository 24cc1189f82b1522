"""Batches made on the device: photos that lie there, and what changes, as numbers.

What `dataset/augmentation` does to images with OpenCV is done here in `jax.numpy`,
within the compiled step and from the same draws: equal up to the rounding of OpenCV's
fixed-point interpolation.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from facedancer.dataset.augmentation import colour
from facedancer.dataset.reading.photo_plan import NAMES
from facedancer.imaging.images import LUMA

_CHANGES = ("photo", "flip", "jitter", "colour", "matrix", "kernel")


def room(device: jax.Device, photo_mb: int | None = None) -> int:
    """Returns the bytes of a device that photos may take.

    Args:
        device: Where they are to lie.
        photo_mb: In MB; None: half of what is free, and none on a device that does not
            say, such as a CPU.
    """
    if photo_mb is not None:
        return photo_mb * 2**20
    stats = device.memory_stats() or {}
    return (stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0)) // 2


def images(photos: jax.Array, batch: Mapping, jitter: str) -> dict:
    """Returns the images of a batch and what else is in it.

    Args:
        photos: `(photos, size, size, 3)` uint8 RGB, on the device.
        batch: Of `PhotoPlan.arrays`, of all rows or some.
        jitter: `none`, `per_image` or `legacy`, see `PairSettings`.

    Returns:
        `target` and `source`, `(rows, size, size, 3)` float32 in [-1, 1] (the legacy
        jitter goes beyond), and the rest of the batch.
    """
    found = {name: value for name, value in batch.items() if name not in _CHANGES}
    for role, name in enumerate(NAMES):
        drawn = {key: batch[key][:, role] for key in _CHANGES if key in batch}
        found[name] = _image(photos, drawn, jitter)
    return found


def _image(photos: jax.Array, drawn: Mapping, jitter: str) -> jax.Array:
    image = photos[drawn["photo"]].astype(jnp.float32)
    if "colour" in drawn:
        image = _mapped(image, drawn["colour"])
    if "matrix" in drawn:
        image = _whole(_warped(image, drawn["matrix"]))
    if "kernel" in drawn:
        image = _whole(jax.vmap(_blurred)(image, drawn["kernel"]))
    if "flip" in drawn:
        flip = drawn["flip"][:, None, None, None] > 0.0
        image = jnp.where(flip, image[:, :, ::-1], image)
    if jitter == "per_image":
        image = _mapped(image, _jitter_map(image, drawn["jitter"]))
    signed = image / 127.5 - 1.0
    return _legacy(signed, drawn["jitter"]) if jitter == "legacy" else signed


def _whole(image: jax.Array) -> jax.Array:
    """Returns what is left of values in a uint8 image."""
    return jnp.clip(jnp.round(image), 0.0, 255.0)


def _mapped(image: jax.Array, colour_map: jax.Array) -> jax.Array:
    """Applies `(rows, 3, 4)` maps of colours, as `colour.apply_map` does."""
    mixed = jnp.einsum(
        "nhwc,ndc->nhwd",
        image,
        colour_map[..., :3],
        precision=jax.lax.Precision.HIGHEST,
    )
    return _whole(mixed + colour_map[:, None, None, :, 3])


def _jitter_map(image: jax.Array, draws: jax.Array) -> jax.Array:
    """Returns the maps of `colour.jitter_map`, `(rows, 3, 4)`."""
    low, high = colour.CONTRAST
    brightness = 255.0 * colour.BRIGHTNESS * (draws[:, :1] - 0.5)
    contrast = low + (high - low) * draws[:, 1:2]
    low, high = colour.SATURATION
    saturation = (low + (high - low) * draws[:, 2])[:, None, None]
    mean = image.mean(axis=(1, 2))
    grey = jnp.broadcast_to(jnp.asarray(LUMA, jnp.float32), (3, 3))
    matrix = saturation * jnp.eye(3) + (1.0 - saturation) * grey
    offset = mean * (1.0 - contrast) + brightness
    moved = jnp.sum(matrix * offset[:, None, :], axis=2)
    return jnp.concatenate([matrix * contrast[..., None], moved[..., None]], axis=2)


def _warped(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """Samples where `(rows, 2, 3)` matrices say, bilinearly; borders repeat."""
    height, width = image.shape[1:3]
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    grid = jnp.stack([x, y, jnp.ones_like(x)], axis=-1).astype(jnp.float32)
    position = jnp.sum(matrix[:, None, None] * grid[:, :, None, :], axis=-1)
    column, row = position[..., 0], position[..., 1]
    left, top = jnp.floor(column), jnp.floor(row)
    across, down = (column - left)[..., None], (row - top)[..., None]

    def pixels(rows: jax.Array, columns: jax.Array) -> jax.Array:
        rows = jnp.clip(rows, 0, height - 1).astype(jnp.int32)
        columns = jnp.clip(columns, 0, width - 1).astype(jnp.int32)
        return jax.vmap(lambda one, r, c: one[r, c])(image, rows, columns)

    upper = pixels(top, left) * (1 - across) + pixels(top, left + 1) * across
    lower = pixels(top + 1, left) * (1 - across) + pixels(top + 1, left + 1) * across
    return upper * (1 - down) + lower * down


def _blurred(image: jax.Array, kernel: jax.Array) -> jax.Array:
    """Filters one image, `(height, width, 3)`, as `cv2.filter2D` does."""
    edge = kernel.shape[0] // 2
    padded = jnp.pad(image, ((edge, edge), (edge, edge), (0, 0)), mode="reflect")
    found = jax.lax.conv(
        padded.transpose(2, 0, 1)[:, None],
        kernel[None, None],
        (1, 1),
        "VALID",
        precision=jax.lax.Precision.HIGHEST,
    )
    return found[:, 0].transpose(1, 2, 0)


def _legacy(signed: jax.Array, draws: jax.Array) -> jax.Array:
    """Returns `colour.jitter_legacy_array` of each row by its own draws."""
    ranges = np.array(
        [(-colour.BRIGHTNESS, colour.BRIGHTNESS), colour.CONTRAST, colour.SATURATION],
        np.float32,
    )
    values = ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * draws
    brightness, contrast, saturation = (
        values[:, k, None, None, None] for k in range(3)
    )
    image = signed + brightness
    mean = image.mean(axis=(1, 2), keepdims=True)
    image = (image - mean) * contrast + mean
    value = image.max(axis=-1, keepdims=True)
    span = value - image.min(axis=-1, keepdims=True)
    known = jnp.where(value > 0.0, span / jnp.where(value > 0.0, value, 1.0), 0.0)
    wanted = jnp.clip(known * saturation, 0.0, 1.0)
    part = (value - image) / jnp.where(span > 0.0, span, 1.0)
    return value * (1.0 - wanted * part)

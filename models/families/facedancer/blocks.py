"""The blocks of the FaceDancer networks (Rosberg et al., 2023).

Each function takes the `parts` to build from (`layer_ops.Parts`), maps, and the name
that its layers begin with. https://arxiv.org/abs/2210.10473
"""

from __future__ import annotations

from collections.abc import Iterable

from facedancer.models.families.layer_ops import Parts, Piece


def mapping(parts: Parts[Piece], identity: Piece, sizes: Iterable[int]) -> Piece:
    """Returns the vector that AdaIN reads: dense layers with leaky ReLU between.

    Args:
        parts: What to build from.
        identity: `(batch, features)`.
        sizes: Units per layer; without any the vector is returned as it is.
    """
    w = identity
    for i, size in enumerate(sizes):
        if i:
            w = parts.leaky(w, f"mapping{i - 1}_leaky")
        w = parts.dense(w, size, f"mapping{i}")
    return w


def residual(
    parts: Parts[Piece],
    x: Piece,
    filters: int,
    name: str,
    resample: str | None = None,
    w: Piece | None = None,
) -> Piece:
    """Returns a residual block: norm, leaky ReLU, 3x3 convolution; 1x1 shortcut.

    Args:
        parts: What to build from.
        x: A map.
        filters: Output channels.
        name: Start of the layers' names.
        resample: `"down"` halves after the convolutions, `"up"` doubles, `None` keeps.
        w: Identity vector for AdaIN behind the norm; `None`: no AdaIN.
    """
    conv = parts.pooled_conv if resample == "down" else parts.conv
    shortcut = conv(x, filters, 1, f"{name}_shortcut")
    if w is None:
        y = parts.norm(x, f"{name}_norm")
    else:
        y = parts.modulated_norm(x, w, name)
    y = parts.leaky(y, f"{name}_leaky")
    y = conv(y, filters, 3, f"{name}_conv")
    if resample == "up":
        return parts.up_sum(y, shortcut, f"{name}_sum")
    return parts.add(y, shortcut, f"{name}_sum")


def discriminator_residual(
    parts: Parts[Piece], x: Piece, filters: int, name: str
) -> Piece:
    """Returns the discriminator's block: two convolutions, halving after the first.

    Args:
        parts: What to build from.
        x: A map.
        filters: Output channels.
        name: Start of the layers' names.
    """
    shortcut = parts.pooled_conv(x, filters, 1, f"{name}_shortcut")
    y = parts.norm(x, f"{name}_norm1")
    y = parts.leaky(y, f"{name}_leaky1")
    y = parts.pooled_conv(y, filters, 3, f"{name}_conv1")
    y = parts.norm(y, f"{name}_norm2")
    y = parts.leaky(y, f"{name}_leaky2")
    y = parts.conv(y, filters, 3, f"{name}_conv2")
    return parts.add(y, shortcut, f"{name}_sum")


def fuse(
    parts: Parts[Piece], kind: str, skip: Piece, up: Piece, channels: int, name: str
) -> Piece:
    """Returns a skip connection fused with the map that comes up.

    The AFFA kinds learn a mask per pixel and channel: near 1 takes the map that the
    identity formed, near 0 the target's.

    Args:
        parts: What to build from.
        kind: One of `config.UP_TYPES`.
        skip: The encoder's map.
        up: The decoder's map of the same shape.
        channels: Their channels.
        name: Start of the layers' names.
    """
    if kind == "no_skip":
        return up
    if kind == "add":
        return parts.add(skip, up, f"{name}_add")
    if kind == "concat":
        return parts.concat(skip, up, f"{name}_concat")
    if kind == "do_affa":
        return _double_mask(parts, skip, up, channels, name)
    up = _affa(parts, skip, up, channels, f"{name}_affa1")
    if kind == "d_affa":
        up = _affa(parts, skip, up, channels, f"{name}_affa2")
    return up


def _mask(
    parts: Parts[Piece], both: Piece, hidden: int, channels: int, name: str
) -> Piece:
    x = parts.conv(both, hidden, 3, f"{name}_conv")
    x = parts.leaky(x, f"{name}_leaky")  # before the norm, as published
    return parts.mask(x, channels, name)


def _affa(
    parts: Parts[Piece], skip: Piece, up: Piece, channels: int, name: str
) -> Piece:
    both = parts.concat(skip, up, f"{name}_concat")
    m = _mask(parts, both, max(channels // 4, 1), channels, f"{name}_mask")
    return parts.blend(m, skip, up, f"{name}_blend")


def _double_mask(
    parts: Parts[Piece], skip: Piece, up: Piece, channels: int, name: str
) -> Piece:
    both = parts.concat(skip, up, f"{name}_concat")
    pixel = _mask(parts, both, channels, 1, f"{name}_pixel_mask")
    channel = _mask(parts, both, channels, channels, f"{name}_channel_mask")
    m = parts.multiply(channel, pixel, f"{name}_mask")
    return parts.blend(m, skip, up, f"{name}_blend")

"""What a swap does to pixels: SSIM and perceptual distance, inside and outside a face.

Both images are cut the same way, so that pixels can be compared one by one.
"""

from __future__ import annotations

import cv2
import numpy as np

from facedancer.imaging.images import resize


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the structural similarity around each pixel (Wang et al., 2004).

    Gaussian window of standard deviation 1.5, each colour channel for itself, then
    their mean.

    Args:
        a: `(height, width, 3)` uint8 RGB.
        b: Same shape.

    Returns:
        `(height, width)` float64, at most 1, 1 where both agree.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = _around(a), _around(b)
    apart_a = _around(a * a) - mean_a**2
    apart_b = _around(b * b) - mean_b**2
    together = _around(a * b) - mean_a * mean_b
    small, large = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean_a * mean_b + small) * (2 * together + large)
    maximum = (mean_a**2 + mean_b**2 + small) * (apart_a + apart_b + large)
    return (alike / maximum).mean(axis=2)


def _around(values: np.ndarray) -> np.ndarray:
    """Returns the mean around each pixel, in a Gaussian window of 11 pixels."""
    return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Returns the mean with weights, NaN where they are all 0.

    Args:
        values: Any shape.
        weights: Same shape, not negative.
    """
    total = float(weights.sum())
    return float((values * weights).sum() / total) if total > 0.0 else float("nan")


def inside_and_outside(values: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Returns the mean of a map over the face and over all the rest.

    Where the soft edge of the mask lies counts for neither: the face is where the mask
    is above a half, the rest where it is 0.

    Args:
        values: `(height, width)`.
        mask: `(height, width)` in [0, 1].
    """
    inside = (mask > 0.5).astype(np.float64)
    outside = (mask <= 0.0).astype(np.float64)
    return weighted_mean(values, inside), weighted_mean(values, outside)


def unchanged_fraction(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Returns the fraction of face pixels that differ by at most 2 of 255.

    Args:
        a: `(height, width, 3)` uint8 RGB.
        b: Same shape.
        mask: `(height, width)` in [0, 1].
    """
    near = np.abs(a.astype(np.int16) - b).max(axis=2) <= 2
    return weighted_mean(near.astype(np.float64), (mask > 0.5).astype(np.float64))


def perceptual_maps(
    features_a: list[np.ndarray],
    features_b: list[np.ndarray],
    weights: list[np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Returns the perceptual difference at each place of each level (LPIPS).

    Feature vectors are scaled to length one, subtracted, squared and summed with
    weights by channel (Zhang et al., 2018).

    Args:
        features_a: Maps `(n, height, width, channels)`, one a level.
        features_b: The same of the other images.
        weights: `(channels,)` for each level; None weighs all alike.

    Returns:
        For each level `(n, height, width)` float32.
    """
    maps = []
    for level, (a, b) in enumerate(zip(features_a, features_b, strict=True)):
        weight = np.ones(a.shape[-1]) if weights is None else weights[level]
        maps.append(((_unit(a) - _unit(b)) ** 2 @ weight.astype(np.float32)))
    return maps


def _unit(features: np.ndarray) -> np.ndarray:
    length = np.sqrt((features**2).sum(axis=-1, keepdims=True))
    return features / (length + 1e-10)


def perceptual_distances(
    maps: list[np.ndarray], masks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the perceptual distance inside and outside faces.

    A level's cell counts as far as the mask, averaged down to the level, covers it.

    Args:
        maps: What `perceptual_maps` gave.
        masks: `(n, size, size)` in [0, 1].

    Returns:
        Two `(n,)` arrays: sums over the levels of the weighted means.
    """
    inside, outside = np.zeros(len(masks)), np.zeros(len(masks))
    for values in maps:
        for row, (one, mask) in enumerate(zip(values, masks, strict=True)):
            small = _mask_of_level(mask, one.shape[0])
            inside[row] += weighted_mean(one, small)
            outside[row] += weighted_mean(one, 1.0 - small)
    return inside, outside


def _mask_of_level(mask: np.ndarray, size: int) -> np.ndarray:
    steps = np.rint(np.asarray(mask) * 255.0).astype(np.uint8)
    return resize(steps, size).astype(np.float64) / 255.0

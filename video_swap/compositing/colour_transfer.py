"""Give a swapped crop the colours of the crop it replaces."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from facedancer.imaging.images import LUMA

# Linear light, sRGB primaries to CIE XYZ (IEC 61966-2-1).
_XYZ_FROM_RGB = np.array(
    [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ],
    np.float32,
)
_LUMA = np.array(LUMA, np.float32)


def correct(
    kind: str, swapped: np.ndarray, target: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Returns a swapped crop with the colours of its target.

    Args:
        kind: `"none"`, `"lab"` (mean and deviation of each channel in CIE L*a*b*,
            Reinhard et al. 2001), `"adain"` (the same in RGB), `"adain_xyz"` (the same
            in XYZ), `"hist_match"` (the histogram of each RGB channel) or
            `"target_chroma"` (brightness of the swapped face, colours of the target).
        swapped: `(size, size, 3)` float32 in [0, 255].
        target: The crop that was swapped, same form.
        mask: `(size, size)` float32 in [0, 1]: where colours are compared.

    Returns:
        `(size, size, 3)` float32.

    Raises:
        ValueError: If the kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(
            f"`kind` must be one of {tuple(KINDS)}. Received: kind={kind!r}"
        )
    if mask.sum() < 16.0:  # too few pixels to compare
        return swapped
    return KINDS[kind](swapped, target, mask)


def _none(swapped: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return swapped


def _adain(swapped: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return _moments_of(swapped, target, mask)


def _lab(swapped: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    unit = np.clip(swapped / 255.0, 0.0, 1.0).astype(np.float32)
    a = cv2.cvtColor(unit, cv2.COLOR_RGB2LAB)
    b = cv2.cvtColor(target.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return cv2.cvtColor(_moments_of(a, b, mask), cv2.COLOR_LAB2RGB) * 255.0


def _adain_xyz(swapped: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    a, b = _xyz(swapped), _xyz(target)
    linear = _moments_of(a, b, mask) @ np.linalg.inv(_XYZ_FROM_RGB).T
    return 255.0 * _gamma(linear.clip(0.0, 1.0)).astype(np.float32)


def _xyz(image: np.ndarray) -> np.ndarray:
    unit = np.clip(image / 255.0, 0.0, 1.0)
    low = unit / 12.92
    linear = np.where(unit <= 0.04045, low, ((unit + 0.055) / 1.055) ** 2.4)
    return (linear @ _XYZ_FROM_RGB.T).astype(np.float32)


def _gamma(linear: np.ndarray) -> np.ndarray:
    high = 1.055 * np.power(linear, 1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, high)


def _hist_match(
    swapped: np.ndarray, target: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    inside = mask > 0.5
    matched = np.empty_like(swapped)
    for channel in range(3):
        have = np.sort(swapped[..., channel][inside])
        want = np.sort(target[..., channel][inside].astype(np.float32))
        if len(have) == 0:
            return swapped
        matched[..., channel] = np.interp(swapped[..., channel], have, want)
    return matched


def _target_chroma(
    swapped: np.ndarray, target: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """The brightness of the swapped face in the colours of the target."""
    target = target.astype(np.float32)
    return target + (swapped - target) @ _LUMA[:, None]


def _moments_of(image: np.ndarray, like: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns an image with each channel's mean and deviation of another."""
    mean, deviation = _moments(image, mask)
    aim, spread = _moments(like, mask)
    # A flat crop must not be blown up to noise.
    ratio = np.clip(spread / np.maximum(deviation, 1e-3), 0.3, 3.0)
    return ((image - mean) * ratio + aim).astype(np.float32)


def _moments(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weight = (mask / mask.sum())[..., None]
    mean = (image * weight).sum((0, 1))
    return mean, np.sqrt((((image - mean) ** 2) * weight).sum((0, 1)))


KINDS: dict[str, Callable] = {
    "none": _none,
    "lab": _lab,
    "adain": _adain,
    "adain_xyz": _adain_xyz,
    "hist_match": _hist_match,
    "target_chroma": _target_chroma,
}

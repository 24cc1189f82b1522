"""How steady is a swapped video: flicker, identity over time, reverted frames."""

from __future__ import annotations

import cv2
import numpy as np

from facedancer.arcface_model import cosine, normalize


def flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns where each pixel of one frame lies in the next (dense optical flow).

    Args:
        first: `(height, width, 3)` uint8 RGB.
        second: Same shape.

    Returns:
        `(height, width, 2)` float32: shift right and down in pixels.
    """
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (first, second)]
    unknown: np.ndarray = None  # type: ignore[assignment]  # its types want an array
    return method.calc(grey[0], grey[1], unknown)


def warp_back(second: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Returns the second frame drawn where its pixels were in the first.

    Args:
        second: `(height, width, 3)` uint8 RGB.
        shift: What `flow` gave.

    Returns:
        `(height, width, 3)` float32 in [0, 255].
    """
    rows, columns = np.mgrid[: shift.shape[0], : shift.shape[1]].astype(np.float32)
    return cv2.remap(
        second.astype(np.float32),
        columns + shift[..., 0],
        rows + shift[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def warped_difference(
    first: np.ndarray, second: np.ndarray, shift: np.ndarray, mask: np.ndarray
) -> float:
    """Returns how much two neighbouring frames differ once movement is undone.

    Args:
        first: `(height, width, 3)` uint8 RGB.
        second: Same shape.
        shift: `flow` between them.
        mask: `(height, width)` weights in [0, 1], the face in the first frame.

    Returns:
        Mean absolute difference under the mask, in steps of 255; NaN without a mask.
    """
    apart = np.abs(warp_back(second, shift) - first).mean(axis=2)
    total = float(mask.sum())
    return float((apart * mask).sum() / total) if total > 0 else float("nan")


def flicker_pair(
    swapped: tuple[np.ndarray, np.ndarray],
    target: tuple[np.ndarray, np.ndarray],
    mask: np.ndarray,
) -> tuple[float, float]:
    """Returns the flicker of the swapped pair of frames and the target's own.

    Movement is taken from the target for both.

    Args:
        swapped: Two neighbouring frames of the result, uint8 RGB.
        target: The same two of the target video.
        mask: `(height, width)` weights in [0, 1], the face in the first frame.
    """
    shift = flow(target[0], target[1])
    return (
        warped_difference(swapped[0], swapped[1], shift, mask),
        warped_difference(target[0], target[1], shift, mask),
    )


def distances_from_mean(embeddings: np.ndarray) -> np.ndarray:
    """Returns one minus the cosine of each frame with the mean identity, `(n,)`.

    Args:
        embeddings: `(n, d)`.
    """
    unit = normalize(embeddings)
    return 1.0 - cosine(unit, unit.mean(axis=0))


def reverted(swapped: np.ndarray, target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Returns which frames show the target's person rather than the source's.

    Args:
        swapped: `(n, d)` embeddings of the frames of the result.
        target: `(n, d)` of the same frames of the target video.
        source: `(d,)` of the source.

    Returns:
        `(n,)` bool.
    """
    return cosine(swapped, target) > cosine(swapped, source)

"""Put a swapped crop back into its frame."""

from __future__ import annotations

import cv2
import numpy as np

from facedancer.face import alignment

_STRIP_PIXELS = 1 << 22  # of a frame that are blended at once


def paste(
    frame: np.ndarray, swapped: np.ndarray, mask: np.ndarray, matrix: np.ndarray
) -> None:
    """Blends a swapped crop into a frame, in place.

    Only the part of the frame that the crop covers is touched, and of it only pixels
    where the mask is above 0. A crop that is enlarged is interpolated by cubics, one
    that is made smaller is averaged first.

    Args:
        frame: `(height, width, 3)` uint8 RGB, changed.
        swapped: `(size, size, 3)` float32 in [0, 255]; values beyond are clipped after
            the blending.
        mask: `(size, size)` float32 in [0, 1].
        matrix: `(2, 3)` from the frame to the crop.
    """
    step = max(1, int(np.hypot(matrix[0, 0], matrix[1, 0])))
    box = covered(frame.shape, matrix, inside(mask, 2 * step))
    if box is None:
        return
    left, top, right, bottom = box
    # Strips, as the floats of a large face are many times its picture.
    rows = max(1, _STRIP_PIXELS // (right - left))
    for upper in range(top, bottom, rows):
        part = frame[upper : min(upper + rows, bottom), left:right]
        shifted = matrix.copy()
        shifted[:, 2] += matrix[:, :2] @ (left, upper)
        _blend(part, swapped, mask, shifted)


def _blend(
    part: np.ndarray, swapped: np.ndarray, mask: np.ndarray, matrix: np.ndarray
) -> None:
    """Blends a crop into a part of a frame, in place."""
    image, mask = _to_frame(swapped, mask, matrix, part.shape[:2])
    left, top, width, height = cv2.boundingRect((mask > 0.0).astype(np.uint8))
    if not width:
        return
    inside = slice(top, top + height), slice(left, left + width)
    part, mask, image = part[inside], cv2.merge([mask[inside]] * 3), image[inside]
    base = part.astype(np.float32)
    blended = cv2.add(base, cv2.multiply(mask, cv2.subtract(image, base)))
    # Rounds to even and clips, and where the mask is 0 gives the frame itself.
    part[...] = cv2.convertScaleAbs(np.maximum(blended, 0.0, out=blended))


def inside(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Returns rows and columns of a crop in which its mask is above 0.

    Args:
        mask: `(size, size)` float32 in [0, 1].
        margin: Pixels to add around, within the crop.
    """
    left, top, width, height = cv2.boundingRect((mask > 0.0).astype(np.uint8))
    if not width:
        return slice(0, 0), slice(0, 0)
    bottom, right = top + height + margin, left + width + margin
    return (
        slice(max(0, top - margin), min(len(mask), bottom)),
        slice(max(0, left - margin), min(len(mask), right)),
    )


def covered(
    shape: tuple[int, ...], matrix: np.ndarray, part: tuple[slice, slice]
) -> tuple[int, int, int, int] | None:
    """Returns the part of a frame that a part of a crop covers.

    Args:
        shape: Of the frame, height and width first.
        matrix: `(2, 3)` from the frame to the crop.
        part: Rows and columns of the crop.

    Returns:
        `left, top, right, bottom` in pixels, the last two exclusive; None if it lies
        outside the frame.
    """
    rows, columns = part
    if rows.start == rows.stop:
        return None
    corners = np.array(
        [(x, y) for x in (columns.start, columns.stop) for y in (rows.start, rows.stop)]
    )
    corners = corners - 0.5
    corners = alignment.apply(alignment.invert(matrix), corners)
    left, top = np.floor(corners.min(0)).astype(int)
    right, bottom = np.ceil(corners.max(0)).astype(int) + 1
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, shape[1]), min(bottom, shape[0])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _to_frame(
    swapped: np.ndarray, mask: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Warps crop and mask to the part of the frame; the mask gets a third axis."""
    step = int(np.hypot(matrix[0, 0], matrix[1, 0]))  # crop pixels a frame pixel
    if step >= 2:
        swapped, mask, matrix = _smaller(swapped, mask, matrix, step)
    size_wh = (shape[1], shape[0])
    flags = cv2.WARP_INVERSE_MAP
    image = cv2.warpAffine(
        swapped,
        matrix,
        size_wh,
        flags=flags | cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    mask = cv2.warpAffine(mask, matrix, size_wh, flags=flags | cv2.INTER_LINEAR)
    return image, mask


def _smaller(
    swapped: np.ndarray, mask: np.ndarray, matrix: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Averages a crop down by a whole number, with the matrix that then belongs."""
    size = max(1, len(mask) // step)
    scale = size / len(mask)
    swapped = cv2.resize(swapped, (size, size), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA)
    return swapped, mask, alignment.rescale(matrix, scale)


def sharpen(image: np.ndarray, amount: float) -> np.ndarray:
    """Returns a crop with its fine detail raised (unsharp mask).

    Args:
        image: `(size, size, 3)` float32.
        amount: 0 leaves it as it is.
    """
    if amount == 0.0:
        return image
    soft = cv2.GaussianBlur(image, (0, 0), max(0.6, len(image) / 256.0))
    return image + amount * (image - soft)


def match_sharpness(
    swapped: np.ndarray, target: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Returns a crop that is not sharper than the picture it goes into.

    A target out of focus or in motion gets a face that is as soft. The blur that makes
    the energy of its Laplacian equal is searched for among a few.

    Args:
        swapped: `(size, size, 3)` float32 in [0, 255].
        target: The crop that was swapped, same form.
        mask: `(size, size)` float32 in [0, 1], where to compare.
    """
    aim = _detail(target, mask)
    for sigma in (0.0, 0.5, 0.8, 1.2, 1.7, 2.4):
        soft = cv2.GaussianBlur(swapped, (0, 0), sigma) if sigma else swapped
        if _detail(soft, mask) <= 1.1 * aim:
            return soft
    return soft


def _detail(image: np.ndarray, mask: np.ndarray) -> float:
    grey = image.mean(axis=2)
    energy = cv2.Laplacian(grey, cv2.CV_32F) ** 2
    return float((energy * mask).sum() / max(mask.sum(), 1e-6))

"""Five-point alignment: templates, the similarity transform, crops.

Matrices are `(2, 3)` float64 and map `x, y, 1` of one image to `x, y` of another,
pixels with the centre of the top-left pixel at (0, 0).
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from facedancer.errors import InputError

# Positions of left eye, right eye, nose, left and right mouth corner, left as seen in
# the image, in units of the crop's side.
TEMPLATES = {
    # ArcFace, Deng et al. 2019, given for a crop of 112 pixels.
    "arcface": np.array(
        [
            [38.2946, 51.6963],
            [73.5318, 51.5014],
            [56.0252, 71.7366],
            [41.5493, 92.3655],
            [70.7299, 92.2041],
        ]
    )
    / 112.0,
    # The mean of FFHQ's own crops (Karras et al. 2019): more forehead and chin.
    "ffhq": np.array(
        [
            [0.37691676, 0.46864664],
            [0.62285697, 0.46912813],
            [0.50123859, 0.61331904],
            [0.39308822, 0.72541100],
            [0.61150205, 0.72490465],
        ]
    ),
}


@dataclasses.dataclass(frozen=True)
class Alignment:
    """How a set of crops is aligned.

    Attributes:
        template: Key of `TEMPLATES`.
        shrink: The `shrink` of the function `template`.

    Raises:
        InputError: If the template is unknown or `shrink` is not in (0, 1].
    """

    template: str = "arcface"
    shrink: float = 1.0

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES or not 0.0 < self.shrink <= 1.0:
            raise InputError(
                f"Crops must be aligned to one of {', '.join(TEMPLATES)}, shrunk by a "
                f"factor in (0, 1]. Received: {self}"
            )

    def __str__(self) -> str:
        return f"template {self.template}, shrink factor {self.shrink:g}"

    def landmarks(self, size: int) -> np.ndarray:
        """Returns where the five landmarks lie, `(5, 2)` pixels of a crop.

        Args:
            size: Side of the crop in pixels.
        """
        return template(size, self.template, self.shrink)


def check_equal(
    found: Alignment | None, wanted: Alignment, what: str, other: str
) -> None:
    """Refuses crops that are aligned in another way than is wanted.

    Args:
        found: Of the crops; None, unknown, is taken as right.
        wanted: How they must be aligned.
        what: What they are, for the message.
        other: What wants it, with a verb, for the message.

    Raises:
        InputError: If they differ.
    """
    if found is not None and found != wanted:
        raise InputError(
            f"{what}: its crops are aligned in another way than {other}. Received: "
            f"{found}; expected: {wanted}. Align the photos anew "
            f"(facedancer-crop-align --template={wanted.template} "
            f"--shrink_factor={wanted.shrink:g})"
        )


_MAX_SIDE = 32_766  # pixels a side of what OpenCV can warp


def template(size: int, name: str = "arcface", shrink: float = 1.0) -> np.ndarray:
    """Returns where the five landmarks lie in a crop.

    Args:
        size: Side of the square crop in pixels.
        name: Key of `TEMPLATES`.
        shrink: 1 gives the template itself; below 1 the face is drawn towards the
            crop's centre by this factor, which keeps more background. The centre
            part of side `shrink * size` is then the crop for `shrink=1`.

    Returns:
        `(5, 2)` float64, `x, y` in pixels of the crop.

    Raises:
        ValueError: If the name is unknown or `shrink` is not in (0, 1].
    """
    if name not in TEMPLATES:
        raise ValueError(
            f"Unknown template. Known: {sorted(TEMPLATES)}. Received: name={name!r}"
        )
    if not 0.0 < shrink <= 1.0:
        raise ValueError(f"`shrink` must lie in (0, 1]. Received: shrink={shrink}")
    return (shrink * TEMPLATES[name] + (1.0 - shrink) * 0.5) * size


def similarity(source: np.ndarray, destination: np.ndarray) -> np.ndarray:
    """Returns the least-squares similarity that maps one point set to another.

    Rotation, one scale and a translation, never a reflection (Umeyama 1991, closed
    form).

    Args:
        source: `(n, 2)` points, n at least 2.
        destination: `(n, 2)` points they should be mapped to.

    Returns:
        `(2, 3)` float64 matrix.

    Raises:
        ValueError: If the source points coincide or are not finite.
    """
    source = np.asarray(source, np.float64)
    destination = np.asarray(destination, np.float64)
    source_mean, destination_mean = source.mean(0), destination.mean(0)
    source_0, destination_0 = source - source_mean, destination - destination_mean
    variance = (source_0**2).sum()
    if not variance > 0.0:  # also true for NaN
        raise ValueError(
            "Points that coincide or are not finite have no similarity transform. "
            f"Received: source={source.tolist()}"
        )
    # In the plane the best rotation has a closed form: a + ib of the complex fit.
    a = (source_0 * destination_0).sum() / variance
    b = (
        source_0[:, 0] * destination_0[:, 1] - source_0[:, 1] * destination_0[:, 0]
    ).sum() / variance
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, destination_mean - linear @ source_mean])


def invert(matrix: np.ndarray) -> np.ndarray:
    """Returns the `(2, 3)` matrix of the inverse map."""
    return cv2.invertAffineTransform(np.asarray(matrix, np.float64))


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Maps `(..., 2)` points by a `(2, 3)` matrix."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def crop_matrix(
    landmarks: np.ndarray, size: int, name: str = "arcface", shrink: float = 1.0
) -> np.ndarray:
    """Returns the matrix from an image to the aligned crop of one face.

    Args:
        landmarks: `(5, 2)` pixels of the image.
        size: Side of the crop in pixels.
        name: Key of `TEMPLATES`.
        shrink: See `template`.
    """
    return similarity(landmarks, template(size, name, shrink))


def rescale(matrix: np.ndarray, factor: float) -> np.ndarray:
    """Returns the matrix to the same crop with `factor` times as many pixels a side.

    Args:
        matrix: `(2, 3)` from an image to a crop.
        factor: New side over old side.
    """
    scaled = np.asarray(matrix, np.float64) * factor
    scaled[:, 2] += 0.5 * factor - 0.5  # pixel centres: x' = (x + 0.5) * factor - 0.5
    return scaled


def crop(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Cuts an aligned crop out of an image.

    Bilinear; where the image is made smaller than half, it is averaged down first so
    that fine texture does not alias. Outside the image the crop is black.

    Args:
        image: `(height, width, 3)` uint8.
        matrix: From the image to the crop.
        size: Side of the crop in pixels.

    Returns:
        `(size, size, 3)` uint8.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    step = int(0.5 / scale) if scale > 0 else 1
    if step > 1:
        height, width = image.shape[:2]
        small = (max(1, width // step), max(1, height // step))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        factor = np.array([width / small[0], height / small[1]])
        # pixel centres: x_full = (x_small + 0.5) * factor - 0.5
        matrix = np.column_stack(
            [
                matrix[:, :2] * factor,
                matrix[:, 2] + matrix[:, :2] @ (0.5 * factor - 0.5),
            ]
        )
    if max(image.shape[:2]) > _MAX_SIDE:
        image, matrix = _part(image, matrix, size)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)


def _part(
    image: np.ndarray, matrix: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the part of an image that a crop shows, and the matrix from there."""
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size]]) - 0.5
    corners = apply(invert(matrix), corners)
    shape_wh = np.array(image.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, shape_wh - 1)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 3, low + 1, shape_wh)
    shifted = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ low])
    return image[low[1] : high[1], low[0] : high[0]], shifted

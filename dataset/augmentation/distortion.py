"""Distorted and corrupted copies of face crops, for systems that learn to repair them.

The warp, colour match and motion blur of faceswap-GAN v2.2, the affine change and the
corruption of few-shot face translation. Every function takes its random numbers from
the generator it is given.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from facedancer.face import alignment

_GRID = 5
# `remap` takes x and y in one array; its types do not know that the other may be None.
_ONE_MAP: np.ndarray = None  # type: ignore[assignment]  # see above
# Of a side of 256 pixels, as in faceswap-GAN v2.2.
_COVERAGE = (78 / 256, 97 / 256)
_SIGMA = (5.0 / 256, 6.2 / 256)
_INSET = 60 / 256
BLUR_SIZES = (5, 7, 9, 11)
_TO_XYZ = np.array(  # linear sRGB to CIE XYZ, D65
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)

Statistics = tuple[np.ndarray, np.ndarray]  # mean, and covariance or spread


@dataclasses.dataclass(frozen=True)
class AffineRange:
    """How far `random_affine` goes.

    Attributes:
        degrees: Largest rotation to each side.
        zoom: Smallest and largest factor.
        shift: Largest shift by the side of the image.
        flip: Probability of mirroring.
    """

    degrees: float = 10.0
    zoom: tuple[float, float] = (0.9, 1.1)
    shift: float = 0.05
    flip: float = 0.5


# Few-shot face translation changes all images and masks of a sample alike by this.
FEW_SHOT = AffineRange(degrees=5.0, zoom=(1.0, 1.05))


def random_affine(
    images: list[np.ndarray],
    random: np.random.Generator,
    limits: AffineRange = AffineRange(),  # noqa: B008 (frozen)
) -> list[np.ndarray]:
    """Returns images and masks of one sample, all turned, zoomed and shifted alike.

    What comes in at the border repeats the border.

    Args:
        images: Each `(height, width)` or `(height, width, channels)`, one size.
        random: Random numbers.
        limits: How far.
    """
    height, width = images[0].shape[:2]
    return warped(images, affine_matrix(width, height, random, limits))


def affine_matrix(
    width: int, height: int, random: np.random.Generator, limits: AffineRange
) -> np.ndarray:
    """Returns the matrix of a random turn, zoom, shift and mirroring, `(2, 3)`.

    Args:
        width: Of the image, pixels.
        height: Of the image, pixels.
        random: Random numbers.
        limits: How far.
    """
    angle = random.uniform(-limits.degrees, limits.degrees)
    zoom = random.uniform(*limits.zoom)
    shift = random.uniform(-limits.shift, limits.shift, 2) * (width, height)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
    matrix[:, 2] = matrix[:, 2] + shift
    if random.random() < limits.flip:
        matrix = matrix @ np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    return matrix


def warped(images: list[np.ndarray], matrix: np.ndarray) -> list[np.ndarray]:
    """Returns images moved by a matrix, their borders repeated.

    Args:
        images: Each `(height, width)` or `(height, width, channels)`, one size.
        matrix: `(2, 3)`, from an image to its result.
    """
    height, width = images[0].shape[:2]
    return [
        cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        for image in images
    ]


def random_warp(
    image: np.ndarray, size: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a distorted crop and the straight crop of the same part.

    Args:
        image: `(side, side, 3)` uint8.
        size: Side of the results in pixels.
        random: Random numbers.

    Returns:
        Two `(size, size, 3)` uint8 images.
    """
    warp = draw_warp(image.shape[0], size, random)
    return warp.distorted(image), warp.straight(image)


@dataclasses.dataclass(frozen=True)
class Warp:
    """One distortion, for everything that is known of a photo.

    Attributes:
        flow: `(size, size, 2)` float32, where a distorted crop's pixels come from.
        matrix: `(2, 3)`, from the photo to the straight crop.
    """

    flow: np.ndarray
    matrix: np.ndarray

    def distorted(self, image: np.ndarray) -> np.ndarray:
        """Returns the distorted crop, `(size, size, 3)` uint8.

        Args:
            image: `(side, side, 3)` uint8.
        """
        way, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
        return cv2.remap(image, self.flow, _ONE_MAP, way, borderMode=border)

    def straight(self, image: np.ndarray) -> np.ndarray:
        """Returns the straight crop, `(size, size, 3)` uint8.

        Args:
            image: `(side, side, 3)` uint8.
        """
        size = (self.flow.shape[1], self.flow.shape[0])
        border = cv2.BORDER_REPLICATE
        return cv2.warpAffine(image, self.matrix, size, borderMode=border)


def with_border(image: np.ndarray) -> np.ndarray:
    """Returns a photo whose border is repeated around it.

    The straight crop of a warp is then about the photo itself: a network that learns of
    it sees faces as large as in the photos it is given later.

    Args:
        image: `(side, side, 3)` uint8.
    """
    width = round(image.shape[0] * (1.0 / sum(_COVERAGE) - 1.0) / 2.0)
    return cv2.copyMakeBorder(image, *(width,) * 4, cv2.BORDER_REPLICATE)


def draw_warp(side: int, size: int, random: np.random.Generator) -> Warp:
    """Returns a random distortion.

    The knots of a 5 x 5 grid about the centre are moved at random; the distorted crop
    follows them, the straight one is cut by the similarity that fits them best.

    Args:
        side: Of the photo, pixels.
        size: Side of the crops in pixels.
        random: Random numbers.
    """
    reach = side * random.uniform(*_COVERAGE)
    knots = np.linspace(-reach, reach, _GRID) + (side - 1) / 2
    x, y = np.meshgrid(knots, knots)
    sigma = side * random.uniform(*_SIGMA)
    moved = np.stack([x, y], axis=-1) + random.normal(0, sigma, (_GRID, _GRID, 2))
    between = _interpolation(size)
    flow = np.einsum("rk,klc,sl->rsc", between, moved, between).astype(np.float32)
    regular = np.linspace(0, size - 1, _GRID)
    grid = np.stack(np.meshgrid(regular, regular), axis=-1)
    matrix = alignment.similarity(moved.reshape(-1, 2), grid.reshape(-1, 2))
    return Warp(flow, matrix)


def _interpolation(size: int) -> np.ndarray:
    """Returns weights `(size, 5)` from knots to pixels, corner knots on corners."""
    position = np.linspace(0, _GRID - 1, size)
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(_GRID)))


def match_colour(
    image: np.ndarray, other: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Returns an image with mean and spread of its colours drawn towards another's.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        other: Any size, uint8 RGB.
        random: Random numbers.
    """
    found = colour_map(middle_statistics(image), middle_statistics(other), random)
    return cv2.transform(np.ascontiguousarray(image), found)


def colour_map(
    own: Statistics, other: Statistics, random: np.random.Generator
) -> np.ndarray:
    """Returns a map of colours that draws an image's statistics towards another's.

    Half of the time it works in XYZ, and goes by a random part of the way.

    Args:
        own: Of the image.
        other: Of the other image.
        random: Random numbers.

    Returns:
        `(3, 4)`: a matrix and an offset in grey levels.
    """
    matrix = _TO_XYZ if random.random() < 0.5 else np.eye(3)
    part = random.random()
    mean, spread = _seen_through(own, matrix)
    goal_mean, goal_spread = _seen_through(other, matrix)
    stretch = goal_spread / (spread + 1e-6)
    gain = 1.0 + part * (stretch - 1.0)
    offset = part * (goal_mean - stretch * mean)
    # in and out of XYZ and all between is one linear map of the colour
    back = np.linalg.inv(matrix)
    return np.column_stack([back @ (gain[:, None] * matrix), back @ offset])


def middle_statistics(image: np.ndarray) -> Statistics:
    """Returns mean `(3,)` and covariance `(3, 3)` of the colours of the middle.

    Args:
        image: `(height, width, 3)` uint8 RGB.
    """
    height, width = image.shape[:2]
    top, left = round(height * _INSET), round(width * _INSET)
    middle = image[top : height - top, left : width - left].reshape(-1, 3)
    mean = middle.mean(axis=0)
    return mean, (middle - mean).T @ (middle - mean) / len(middle)


def _seen_through(statistics: Statistics, matrix: np.ndarray) -> Statistics:
    """Returns mean and spread `(3,)` of colours after a linear map."""
    mean, covariance = statistics
    spread = np.sqrt(np.einsum("ij,jk,ik->i", matrix, covariance, matrix))
    return matrix @ mean, spread


def motion_blur(
    images: list[np.ndarray], random: np.random.Generator
) -> list[np.ndarray]:
    """Returns images all blurred by one motion along a straight line.

    Args:
        images: `(height, width, 3)` uint8 each.
        random: Random numbers.
    """
    kernel = blur_kernel(random)
    return [cv2.filter2D(image, -1, kernel) for image in images]


def blur_kernel(random: np.random.Generator) -> np.ndarray:
    """Returns the kernel of a random motion, square, of one of `BLUR_SIZES`.

    Args:
        random: Random numbers.
    """
    size = int(random.choice(BLUR_SIZES))
    angle = random.uniform(0, np.pi)
    kernel = np.zeros((size, size), np.float32)
    middle, reach = (size - 1) / 2, (size - 1) / 2
    step = reach * np.array([np.cos(angle), np.sin(angle)])
    first = np.rint(middle - step).astype(int).tolist()
    last = np.rint(middle + step).astype(int).tolist()
    cv2.line(kernel, first, last, 1.0)
    return kernel / kernel.sum()


def corrupt(
    image: np.ndarray, mask: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Returns an image whose face has lost its identity.

    Nine times of ten the face is what is left of 4 to 15 pixels, else noise about the
    image's mean colour; the edge of the face is soft.

    Args:
        image: `(side, side, 3)` uint8.
        mask: `(side, side)`, above 0 inside the face.
        random: Random numbers.
    """
    side = image.shape[0]
    cover = (np.asarray(mask) > 0).astype(np.float32)
    if random.random() < 0.9:
        small = int(random.integers(4, 16))
        interpolations = (cv2.INTER_CUBIC, cv2.INTER_LINEAR)
        down, up = random.integers(2, size=2)
        tiny = cv2.resize(image, (small, small), interpolation=interpolations[down])
        content = cv2.resize(tiny, (side, side), interpolation=interpolations[up])
        cover = _feather(cover, side // 20)
    else:
        grain = random.normal(0, 0.1 * 255, image.shape)
        content = image.reshape(-1, 3).mean(axis=0) + grain
        edge = side // int(random.integers(13, 21))
        smaller = cv2.erode(cover, np.ones((max(1, edge), max(1, edge))))
        cover = _feather(smaller, edge)
    cover = cover[..., None]
    mixed = cover * content + (1.0 - cover) * image
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def _feather(cover: np.ndarray, kernel: int) -> np.ndarray:
    return cv2.GaussianBlur(cover, (kernel | 1, kernel | 1), 0)

"""A picture that is worked on, of which as little as possible is turned into RGB."""

from __future__ import annotations

import abc
from collections.abc import Callable

import cv2
import numpy as np

Painter = Callable[[np.ndarray], None]  # into RGB `(h, w, 3)` uint8, in place


class Picture(abc.ABC):
    """What the stages of a swap need of a picture, however its pixels are stored.

    Attributes:
        shape: Height and width in pixels.
    """

    shape: tuple[int, int]

    @property
    @abc.abstractmethod
    def image(self) -> np.ndarray:
        """All of it, `(height, width, 3)` uint8 RGB; not to be changed."""

    @abc.abstractmethod
    def small(self, size_wh: tuple[int, int]) -> np.ndarray:
        """Returns it averaged down, `(h, w, 3)` uint8 RGB.

        Args:
            size_wh: Width and height in pixels.
        """

    @abc.abstractmethod
    def window(self, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the part that a crop shows, and the matrix from there.

        Args:
            matrix: `(2, 3)` from the picture to the crop.
            size: Side of the crop in pixels.

        Returns:
            `(h, w, 3)` uint8 RGB, not to be changed, at least what the crop shows; and
            the `(2, 3)` matrix from its pixels to the crop.
        """

    @abc.abstractmethod
    def copy(self) -> Picture:
        """Returns one that can be changed while this stays."""

    @abc.abstractmethod
    def paint(self, matrix: np.ndarray, size: int, painter: Painter) -> None:
        """Changes the part that a crop shows; what is not painted on stays exactly.

        Args:
            matrix: See `window`.
            size: See `window`.
            painter: Called with an array like that of `window`, which it changes.
        """

    @abc.abstractmethod
    def brightness(self, change: np.ndarray) -> Brightness:
        """Returns what makes pictures of this kind and size brighter or darker.

        Args:
            change: `(h, w)` float32 of any size, luma in units of 1/255 of full range.
        """

    @abc.abstractmethod
    def brighter(self, change: Brightness) -> Picture:
        """Returns one that is brighter or darker.

        Args:
            change: What `brightness` gave, here or of a picture of the same kind.
        """


class Brightness:
    """A change of brightness at the size of a picture, rounded to whole numbers.

    Args:
        change: `(h, w)` float32 of any size, in units of the numbers it is added to.
        size_wh: Width and height of the pictures.
        channels: How many channels alike it has: 1 gives `(height, width)`.
    """

    def __init__(
        self, change: np.ndarray, size_wh: tuple[int, int], channels: int
    ) -> None:
        whole = cv2.resize(change, size_wh, interpolation=cv2.INTER_LINEAR)
        self.more = cv2.convertScaleAbs(np.maximum(whole, 0.0))  # rounds to even
        self.less = cv2.convertScaleAbs(np.minimum(whole, 0.0))
        if channels > 1:
            self.more = cv2.merge([self.more] * channels)
            self.less = cv2.merge([self.less] * channels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the arrays it fits."""
        return self.more.shape

    def added(self, numbers: np.ndarray) -> np.ndarray:
        """Returns an array with the change added, within [0, 255].

        Args:
            numbers: uint8 of the shape above.
        """
        return cv2.subtract(cv2.add(numbers, self.more), self.less)


class Rgb(Picture):
    """A picture that is stored as RGB.

    Args:
        image: `(height, width, 3)` uint8 RGB; `paint` changes it.
    """

    def __init__(self, image: np.ndarray) -> None:
        self._image = image
        self.shape = (image.shape[0], image.shape[1])

    @property
    def image(self) -> np.ndarray:
        """The array itself."""
        return self._image

    def small(self, size_wh: tuple[int, int]) -> np.ndarray:
        """Returns it averaged down, see `Picture`."""
        return cv2.resize(self._image, size_wh, interpolation=cv2.INTER_AREA)

    def window(self, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns all of it, see `Picture`."""
        return self._image, matrix

    def copy(self) -> Rgb:
        """Returns one with an array of its own."""
        return Rgb(self._image.copy())

    def paint(self, matrix: np.ndarray, size: int, painter: Painter) -> None:
        """Lets the array be changed, see `Picture`."""
        painter(self._image)

    def brightness(self, change: np.ndarray) -> Brightness:
        """Returns a change of red, green and blue alike, see `Picture`."""
        return Brightness(change, self.shape[::-1], channels=3)

    def brighter(self, change: Brightness) -> Rgb:
        """Returns a new picture, see `Picture`."""
        return Rgb(change.added(self._image))

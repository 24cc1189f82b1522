"""A picture as video has it: a plane of luma, and two of colour at half the size."""

from __future__ import annotations

import functools

import av
import cv2
import numpy as np
from av.video.reformatter import (
    ColorRange,
    Colorspace,
    Interpolation,
    VideoReformatter,
)

from facedancer.face import alignment
from facedancer.video_swap.pixels.picture import Brightness, Painter, Picture

FORMAT = "yuv420p"
# Without these the converter's rounding darkens a picture by 1.3/255 on average.
EXACT = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND)
EXACT_RGB = EXACT | int(Interpolation.FULL_CHR_H_INT)
# Parts of red and blue in luma, by the matrix's code in ITU-T H.273.
_RED_BLUE = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
# Codes of H.273 -> what the converter calls them.
SPACES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}
_LUMA = 219 / 255  # units of luma in limited range for one of full range
_MARGIN = 6  # pixels around a window, so that its edges do not show in a crop


class Planes(Picture):
    """A picture of 8 bits in limited range; colours are computed where they are needed.

    Args:
        planes: `(3 * height / 2, width)` uint8, both sides even: luma, then the two
            planes of colour row by row; `paint` changes it.
        matrix: Key of `SPACES`.
    """

    def __init__(self, planes: np.ndarray, matrix: int) -> None:
        self.planes, self.matrix = planes, matrix
        self.shape = (len(planes) * 2 // 3, planes.shape[1])
        self._windows: dict[tuple[int, int, int, int], np.ndarray] = {}

    @functools.cached_property
    def image(self) -> np.ndarray:
        """All of it as RGB, see `Picture`."""
        space = SPACES[self.matrix]
        converted = VideoReformatter().reformat(
            self.frame(),
            format="rgb24",
            src_colorspace=space,
            dst_colorspace=space,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=EXACT_RGB,
        )
        return converted.to_ndarray()

    def frame(self) -> av.VideoFrame:
        """Returns it as a frame of the video library, with a copy of the planes."""
        return av.VideoFrame.from_ndarray(self.planes, format=FORMAT)

    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the three planes, views."""
        height, width = self.shape
        colours = self.planes[height:].reshape(2, height // 2, width // 2)
        return self.planes[:height], colours[0], colours[1]

    def small(self, size_wh: tuple[int, int]) -> np.ndarray:
        """Returns it averaged down, see `Picture`."""
        return _rgb([_smaller(one, size_wh) for one in self._parts()], self.matrix)

    def window(self, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the part that a crop shows, see `Picture`."""
        box = self._box(matrix, size)
        shifted = np.array(matrix, np.float64)
        shifted[:, 2] += shifted[:, :2] @ box[:2]
        return self._rgb_of(box), shifted

    def _box(self, matrix: np.ndarray, size: int) -> tuple[int, int, int, int]:
        """Returns left, top, right and bottom of a window, all even."""
        scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        step = 2 * max(1, int(0.5 / scale))  # whole blocks of what a crop averages
        corners = np.array([[0, 0], [size, 0], [size, size], [0, size]]) - 0.5
        corners = alignment.apply(alignment.invert(matrix), corners)
        low = np.floor((corners.min(0) - _MARGIN) / step).astype(int) * step
        high = np.ceil((corners.max(0) + _MARGIN) / step).astype(int) * step
        height, width = self.shape
        left, top = np.clip(low, 0, [width - 2, height - 2]).tolist()
        right = min(max(int(high[0]), left + 2), width)
        bottom = min(max(int(high[1]), top + 2), height)
        return left, top, right, bottom

    def _rgb_of(self, box: tuple[int, int, int, int]) -> np.ndarray:
        if box not in self._windows:
            luma, *colours = self._cut(box)
            size_wh = (luma.shape[1], luma.shape[0])
            full = [
                cv2.resize(c, size_wh, interpolation=cv2.INTER_CUBIC) for c in colours
            ]
            self._windows[box] = _rgb([luma, *full], self.matrix)
        return self._windows[box]

    def _cut(self, box: tuple[int, int, int, int]) -> list[np.ndarray]:
        left, top, right, bottom = box
        luma, *colours = self._parts()
        half = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
        return [luma[top:bottom, left:right], *(plane[half] for plane in colours)]

    def copy(self) -> Planes:
        """Returns one with planes of its own."""
        other = Planes(self.planes.copy(), self.matrix)
        other._windows = dict(self._windows)
        return other

    def paint(self, matrix: np.ndarray, size: int, painter: Painter) -> None:
        """Changes the part that a crop shows, see `Picture`."""
        box = self._box(matrix, size)
        before = self._rgb_of(box)
        after = before.copy()
        painter(after)
        self._put(box, before, after)

    def _put(
        self, box: tuple[int, int, int, int], before: np.ndarray, after: np.ndarray
    ) -> None:
        """Takes over the pixels that differ, and the colours of their blocks."""
        same = cv2.inRange(cv2.absdiff(before, after), (0, 0, 0), (0, 0, 0))
        changed = cv2.bitwise_not(same)
        codes = cv2.transform(after, _codes_from_rgb(self.matrix))
        luma, *colours = self._cut(box)
        half_wh = (colours[0].shape[1], colours[0].shape[0])
        # A block is changed if one of its pixels is: 255 / 4 is above 0.
        blocks = cv2.resize(changed, half_wh, interpolation=cv2.INTER_AREA)
        halves = cv2.resize(codes, half_wh, interpolation=cv2.INTER_AREA)
        np.copyto(luma, cv2.extractChannel(codes, 0), where=changed.astype(bool))
        for number, plane in enumerate(colours, start=1):
            new = cv2.extractChannel(halves, number)
            np.copyto(plane, new, where=blocks.astype(bool))
        self._forget()

    def _forget(self) -> None:
        """Drops what was computed of other pixels."""
        self._windows = {}
        self.__dict__.pop("image", None)

    def brightness(self, change: np.ndarray) -> Brightness:
        """Returns a change of the luma, see `Picture`."""
        return Brightness(change * np.float32(_LUMA), self.shape[::-1], channels=1)

    def brighter(self, change: Brightness) -> Planes:
        """Returns a picture with other luma and the same colours, see `Picture`."""
        height = self.shape[0]
        planes = np.concatenate(
            [change.added(self.planes[:height]), self.planes[height:]]
        )
        return Planes(planes, self.matrix)


def _smaller(plane: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Returns a plane at another size, averaged where that is smaller.

    A much smaller one is averaged in halves first, which are quick.
    """
    width, height = size_wh
    while plane.shape[1] >= 4 * width and plane.shape[0] >= 4 * height:
        half_wh = (plane.shape[1] // 2, plane.shape[0] // 2)
        plane = cv2.resize(plane, half_wh, interpolation=cv2.INTER_AREA)
    if plane.shape == (height, width):
        return plane
    smaller = width <= plane.shape[1] and height <= plane.shape[0]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(plane, size_wh, interpolation=kind)


def _rgb(codes: list[np.ndarray], matrix: int) -> np.ndarray:
    """Returns RGB of three planes of one size."""
    return cv2.transform(cv2.merge(codes), _rgb_from_codes(matrix))


@functools.cache
def _codes_from_rgb(matrix: int) -> np.ndarray:
    """Returns the `(3, 4)` matrix from RGB to codes of limited range (H.273, 8.3)."""
    red, blue = _RED_BLUE[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    blueness = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    redness = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    linear = np.stack([219 * luma, 224 * blueness, 224 * redness]) / 255
    return np.column_stack([linear, [16, 128, 128]])


@functools.cache
def _rgb_from_codes(matrix: int) -> np.ndarray:
    """Returns the `(3, 4)` matrix from the codes of limited range to RGB."""
    linear, offset = np.split(_codes_from_rgb(matrix), [3], axis=1)
    inverse = np.linalg.inv(linear)
    return np.column_stack([inverse, -inverse @ offset])

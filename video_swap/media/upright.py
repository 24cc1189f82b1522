"""Decoded frames as pictures: upright, in one size, in the right colours."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorRange, VideoReformatter

from facedancer.video_swap.pixels import planes
from facedancer.video_swap.pixels.picture import Picture, Rgb

if TYPE_CHECKING:
    from fractions import Fraction

    from facedancer.video_swap.media.hdr import ToneMap
    from facedancer.video_swap.media.video_reader import ClipInfo, Colour

_SAME_SHAPE = 0.02  # shapes that differ by less are taken for one


@dataclasses.dataclass(frozen=True)
class Orientation:
    """How a stored picture is turned and mirrored to be shown, one of eight ways.

    Attributes:
        swapped: Whether rows become columns, before the mirroring.
        mirror_x: Whether left and right are exchanged.
        mirror_y: Whether top and bottom are exchanged.
    """

    swapped: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns a picture as it is shown.

        Args:
            image: `(height, width, channels)` as it is stored.
        """
        if self.swapped:
            image = image.swapaxes(0, 1)
        if self.mirror_x:
            image = image[:, ::-1]
        return image[::-1] if self.mirror_y else image


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Returns how a frame is to be shown; turns by other than 90 degrees are rounded.

    Args:
        frame: A decoded frame. Its display matrix, if it has one, maps a stored point
            to x = a x + c y and y = b x + d y as shown.
    """
    sides: Any = frame.side_data  # by type too, which its own types do not say
    data = sides.get(Type.DISPLAYMATRIX)
    if data is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def has_alpha(frame: av.VideoFrame) -> bool:
    """Returns whether a frame says how transparent it is.

    Args:
        frame: A decoded frame.
    """
    return any(part.is_alpha for part in frame.format.components)


class ToPictures:
    """Turns decoded frames into upright pictures by the clip's own matrix and range.

    Frames that need no more stay in the planes they are decoded to, all others become
    RGB. A frame of another size than the first is scaled to it; where its shape differs
    too, it stands in the middle between black bars. Transparent parts become white.

    Args:
        info: The `ClipInfo` of the clip.
        colour: The `Colour` of the clip.
        tone_map: Makes ordinary colours of HDR ones, None for ordinary clips.

    Attributes:
        scaled: How many frames had another size.
    """

    def __init__(
        self, info: ClipInfo, colour: Colour, tone_map: ToneMap | None = None
    ) -> None:
        self.info, self.colour, self.tone_map = info, colour, tone_map
        self.reformatter = VideoReformatter()
        self.scaled = 0
        self._first_aspect: tuple = ()

    def __call__(
        self, frame: av.VideoFrame, aspect: Fraction | None = None
    ) -> tuple[Picture, np.ndarray | None]:
        """Converts one frame.

        Args:
            frame: As it was decoded.
            aspect: Width over height of its stored pixels as the codec says, None if it
                does not; only a change of it counts here.

        Returns:
            The picture, of the clip's size, and its alpha `(height, width)` uint8, None
            if the clip has none.
        """
        self._first_aspect = self._first_aspect or (aspect,)
        turn = orientation_of(frame)
        if self._is_plain(frame, turn):
            return planes.Planes(frame.to_ndarray(), self.colour.matrix), None
        shown = self.info.aspect
        if aspect and aspect != self._first_aspect[0]:
            shown = 1 / aspect if turn.swapped else aspect
        image = self._fit(turn(self._layers(frame)), shown)
        if image.shape[2] == 3:
            alpha = np.full(image.shape[:2], 255, np.uint8) if self.info.alpha else None
            return Rgb(np.ascontiguousarray(image)), alpha
        return Rgb(on_white(image)), np.ascontiguousarray(image[..., 3])

    def _is_plain(self, frame: av.VideoFrame, turn: Orientation) -> bool:
        """Whether the planes can be worked on as they are."""
        width, height = self.info.size_wh
        return (
            frame.format.name == planes.FORMAT
            and frame.color_range != ColorRange.JPEG
            and turn == Orientation()
            and (frame.width, frame.height) == (width, height)
            and not (width % 2 or height % 2)
            and not self.info.alpha
            and self.tone_map is None
        )

    def _layers(self, frame: av.VideoFrame) -> np.ndarray:
        """Returns `(h, w, 3)`, or `(h, w, 4)` of frames with alpha, both uint8."""
        form = "rgba" if has_alpha(frame) else "rgb24"
        image = self.reformatter.reformat(
            frame,
            format="rgb48le" if self.tone_map else form,
            src_colorspace=self.colour.space,
            dst_colorspace=self.colour.space,
            dst_color_range=ColorRange.JPEG,
            interpolation=planes.EXACT_RGB,
        ).to_ndarray()
        return self.tone_map(image) if self.tone_map else image

    def _fit(self, image: np.ndarray, aspect: Fraction) -> np.ndarray:
        width, height = self.info.size_wh
        if image.shape[:2] == (height, width):
            return image
        self.scaled += 1
        shape = float(aspect) * image.shape[1] / image.shape[0]
        room = float(self.info.aspect) * width / height
        if abs(shape / room - 1) < _SAME_SHAPE:
            return _scaled(image, width, height)
        inner = (
            max(1, min(width, round(width * shape / room))),
            max(1, min(height, round(height * room / shape))),
        )
        fitted = np.zeros((height, width, image.shape[2]), np.uint8)
        fitted[..., 3:] = 255
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        part = _scaled(image, *inner)
        fitted[top : top + inner[1], left : left + inner[0]] = part
        return fitted


def _scaled(image: np.ndarray, width: int, height: int) -> np.ndarray:
    smaller = width < image.shape[1]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=kind)


def on_white(image: np.ndarray) -> np.ndarray:
    """Returns a picture as it looks on white paper.

    Args:
        image: `(height, width, 4)` uint8 RGBA, the colours not multiplied by alpha.

    Returns:
        `(height, width, 3)` uint8.
    """
    alpha = image[..., 3:].astype(np.uint16)
    mixed = image[..., :3] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def off_white(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Returns the RGBA picture that `on_white` shows as this; hidden colours are white.

    Args:
        image: `(height, width, 3)` uint8.
        alpha: `(height, width)` uint8.

    Returns:
        `(height, width, 4)` uint8.
    """
    opacity = np.maximum(alpha, 1)[..., None].astype(np.float32) / 255
    colour = 255 - (255 - image.astype(np.float32)) / opacity
    colour = np.where(alpha[..., None] > 0, np.rint(colour.clip(0, 255)), 255)
    return np.dstack([colour.astype(np.uint8), alpha])

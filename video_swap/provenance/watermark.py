"""An invisible mark over a whole picture: keyed spread spectrum in its DCT.

The luma is scaled to 512 x 512, freed of its coarse shapes, divided by its local
contrast and transformed as a whole. Groups of coefficients of a middle band carry one
bit each: their sum with pseudo-random signs is pushed just as far as it takes
(host-aware, so a picture that happens to carry the bit is left alone). 16 groups carry
a known pattern, 32 carry the payload. What is added follows the texture, of which the
least in the neighbourhood counts: hair takes much, a wall, a dark suit or the plain
side of an edge one or two steps of 255, since there the eye would see more.

The score of a picture without a mark is a sum of independent terms, scaled to mean 0
and standard deviation 1. From `THRESHOLD` on it is taken for a mark; by the normal
distribution that is wrong once in 3.5 million pictures.

The mark survives scaling to half size, a blur of 1.5 pixels, JPEG 75 and H.264 crf 28
(pictures below some 400 pixels and dark clips often lose it to the latter). A picture
of one colour can carry none. It is undone by whatever moves the picture: on four photos
mirroring, a border of 1 %, and a crop of 10 % (all round, or off one side) left scores
below `THRESHOLD`, a crop of 2 % and a turn by 1 degree did so on three and on two; a
crop of 1 % did not.

It is a label for honest copies, no lock: the key stands in this file, so that every
installation recognises every mark, and who has it can take the mark out or put any
payload in. The opposite mark removes it (scores -1.7 to -3.7,
41 to 48 dB to the marked picture); a second mark leaves it found, with the payload of
the second. A key of each installation would hinder only that, and `facedancer-verify`
would see no mark but its own; what proves who made a file is the signature. So a mark
that is found says that a face swapper made the picture, one that is not says nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import cv2
import numpy as np

from facedancer.imaging.images import LUMA
from facedancer.video_swap.pixels.picture import Brightness, Picture, Rgb

SIDE = 512
BAND = (30, 120)  # radius in the DCT, in half periods a side
PRESENCE_BITS, PAYLOAD_BITS = 16, 32
STRENGTH = 3.0  # standard deviations each group is pushed to
THRESHOLD = 5.0
KEY = "facedancer swapped face, 1"
REUSED = 8  # frames that share a difference: what one computes also fits the next
_COARSE = 4  # pixels a side that are one where only soft shapes count
_CALM = 5  # side of the neighbourhood whose least contrast decides, in coarse pixels
_MIN_CHANGE, _MAX_CHANGE = (
    1.0,
    6.0,
)  # contrast, in 1/255, that what is added keeps within
_WEIGHED = 3.0  # contrast below which a place counts less when the mark is read
_DARK = 90.0  # luma below which less is added; lower in a dark picture
_QUIET = 0.9  # root mean square of a mark, in 1/255, up to which it may be stronger
_LOUDEST = 0.6  # root mean square of a mark over what is allowed
_ROUNDS = 4  # of the solution: rounding to whole numbers takes a part of each
_LUMA = np.array(LUMA, np.float32)
_LARGE = 1 << 26  # pixels of a picture that is marked strip by strip: more than of 8K
_STRIP = 256  # rows


@dataclasses.dataclass(frozen=True)
class Detection:
    """What was found in a picture.

    Attributes:
        score: Standard deviations above the mean of pictures without a mark.
        payload: The 32 bits read; noise if there is no mark.
        found: Whether the score reaches `THRESHOLD`.
    """

    score: float
    payload: int

    @property
    def found(self) -> bool:
        """Whether there is a mark."""
        return self.score >= THRESHOLD


def embed(
    image: np.ndarray, payload: int, key: str = KEY, strength: float = STRENGTH
) -> np.ndarray:
    """Returns a marked picture.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        payload: 32 bits.
        key: Decides the pattern; known to all, see above.
        strength: See `STRENGTH`.
    """
    picture = Rgb(image)
    change = difference(picture, payload, key, strength)
    return picture.brighter(picture.brightness(change)).image


def difference(
    picture: Picture, payload: int, key: str = KEY, strength: float = STRENGTH
) -> np.ndarray:
    """Returns what to add to a picture, at 512 x 512.

    Args:
        picture: The picture.
        payload: 32 bits.
        key: See `embed`.
        strength: See `embed`.

    Returns:
        `(512, 512)` float32, luma in units of 1/255.
    """
    chips, indices, weight = _pattern(key)
    luma, bits = _luma(picture), _bits(payload)
    allowed = _allowed(luma)
    kept = float((allowed / _even(luma)[1]).mean())
    # A small picture has each wave on fewer pixels, where compression takes more of it.
    side = min(np.sqrt(picture.shape[0] * picture.shape[1]), SIDE)
    loudest = _LOUDEST * np.sqrt(SIDE / side)
    amount = np.zeros(len(bits), np.float32)
    change = np.zeros_like(luma)
    for _ in range(_ROUNDS):
        values, spread = _values((luma + np.rint(change)).clip(0, 255), indices, weight)
        statistic = (values * chips).mean(axis=1)
        aim = bits * strength * _louder(change) * spread / np.sqrt(chips.shape[1])
        missing = np.where(bits * statistic < np.abs(aim), aim - statistic, 0.0)
        amount += missing / kept
        coefficients = np.zeros(SIDE * SIDE, np.float32)
        coefficients[indices] = amount[:, None] * chips * weight
        pattern = cv2.idct(coefficients.reshape(SIDE, SIDE))
        change = allowed * pattern * min(1.0, loudest / max(pattern.std(), 1e-6))
    return change


def _louder(change: np.ndarray) -> float:
    """Returns how much stronger a mark may be that changes little: 1 to 1.5."""
    size = float(change.std())
    return min(max(_QUIET / size, 1.0), 1.5) if size else 1.0


def add_in_strips(image: np.ndarray, change: np.ndarray) -> None:
    """Adds a difference to a large picture in place, as `add` does.

    What is added is nowhere there at full size, which takes several times the memory
    of the picture.

    Args:
        image: `(height, width, 3)` uint8 RGB, changed.
        change: What `difference` gave.
    """
    height, width = image.shape[:2]
    wide = cv2.resize(change, (width, len(change)), interpolation=cv2.INTER_LINEAR)
    for top in range(0, height, _STRIP):
        strip = image[top : top + _STRIP]
        at = (np.arange(top, top + len(strip)) + 0.5) * len(change) / height - 0.5
        at = at.clip(0, len(change) - 1).astype(np.float32)
        above = at.astype(int)
        below = np.minimum(above + 1, len(change) - 1)
        part = (at - above)[:, None]
        rows = wide[above] * (1 - part) + wide[below] * part
        strip[...] = Brightness(rows, (width, len(strip)), 3).added(strip)


class Marker:
    """Marks the frames of a clip, or pictures one by one.

    Eight frames share what is added, which then moves less than one made for each.

    Args:
        payload: 32 bits.
    """

    def __init__(self, payload: int) -> None:
        self.payload = payload
        self._sized: Brightness | None = None
        self._like: tuple = ()

    def __call__(self, image: np.ndarray, index: int) -> np.ndarray:
        """Returns a marked picture.

        Args:
            image: `(height, width, 3)` uint8 RGB; one of more than 67 million pixels
                is changed in place.
            index: Number of the frame in its segment, from 0 in order: what is added
                begins anew with each, so that one can be made without the others.
        """
        return self.mark(Rgb(image), index).image

    def mark(self, picture: Picture, index: int) -> Picture:
        """Returns a marked picture.

        Args:
            picture: The picture; a large one is changed, see above.
            index: See above.
        """
        if picture.shape[0] * picture.shape[1] > _LARGE:
            image = picture.image
            add_in_strips(image, difference(picture, self.payload))
            return Rgb(image)
        like = (type(picture), picture.shape)
        if self._sized is None or index % REUSED == 0 or self._like != like:
            self._sized = picture.brightness(difference(picture, self.payload))
            self._like = like
        return picture.brighter(self._sized)


def detect(image: np.ndarray, key: str = KEY) -> Detection:
    """Returns whether a picture is marked, and with what.

    Args:
        image: `(height, width, 3)` uint8 RGB, of any size.
        key: The key it would have been marked with.
    """
    return read_values(values_of(image, key), key)


def values_of(image: np.ndarray, key: str = KEY) -> np.ndarray:
    """Returns the coefficients that carry the mark, in units of their size.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        key: See `detect`.

    Returns:
        `(48, n)` float32, a row a group. Those of frames of one clip may be averaged:
        what compression or movement changes is lost in the mean, the mark is not.
    """
    _, indices, weight = _pattern(key)
    values, spread = _values(_luma(Rgb(image)), indices, weight)
    return values / spread


def read_values(values: np.ndarray, key: str = KEY) -> Detection:
    """Returns what coefficients say.

    The score adds the 16 groups whose sign is known and the sizes of the other 32,
    less what these are on average without a mark.

    Args:
        values: What `values_of` gave, or its mean over frames.
        key: See `detect`.
    """
    chips = _pattern(key)[0]
    spread = max(float(np.sqrt((values**2).mean())), 1e-6)
    statistic = (values * chips).mean(axis=1) * np.sqrt(chips.shape[1]) / spread
    known = _bits(0)[:PRESENCE_BITS]
    carried = statistic[PRESENCE_BITS:]
    # Of a standard normal variable |x| has mean sqrt(2/pi), variance 1 - 2/pi.
    size = np.abs(carried).sum() - PAYLOAD_BITS * np.sqrt(2 / np.pi)
    variance = PRESENCE_BITS + PAYLOAD_BITS * (1 - 2 / np.pi)
    score = ((statistic[:PRESENCE_BITS] * known).sum() + size) / np.sqrt(variance)
    payload = int(sum(1 << i for i, value in enumerate(carried) if value > 0))
    return Detection(float(score), payload)


def _bits(payload: int) -> np.ndarray:
    """Returns the 48 signs: a fixed pattern, then the payload, lowest bit first."""
    fixed = [1, -1] * (PRESENCE_BITS // 2)
    carried = [1 if payload >> i & 1 else -1 for i in range(PAYLOAD_BITS)]
    return np.array(fixed + carried, np.float32)


def _luma(picture: Picture) -> np.ndarray:
    small = picture.small((SIDE, SIDE))
    return cv2.transform(small.astype(np.float32), _LUMA[None])


def _coarse(image: np.ndarray, size: float) -> np.ndarray:
    """Returns a picture after a Gaussian blur of `size` pixels, on the coarse grid.

    What is that soft shows no difference, and takes a tenth of the time.
    """
    side = SIDE // _COARSE
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    # The averages of the resizing, and of the enlarging that follows, blur too.
    variance = (size**2 - (_COARSE**2 - 1) / 12 - _COARSE**2 / 6) / _COARSE**2
    return cv2.GaussianBlur(small, (0, 0), float(np.sqrt(variance)))


def _fine_grid(coarse: np.ndarray) -> np.ndarray:
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def _allowed(luma: np.ndarray) -> np.ndarray:
    """Returns the size of change that is not seen: that of the calmest place nearby.

    Only what varies both along and across counts as texture; stripes and edges do not.
    """
    across = luma - cv2.sepFilter2D(luma, -1, _bell(4.0), np.ones(1))
    along = luma - cv2.sepFilter2D(luma, -1, np.ones(1), _bell(4.0))
    calm = np.minimum(_coarse(across * across, 3.0), _coarse(along * along, 3.0))
    calm = cv2.erode(np.sqrt(calm), np.ones((_CALM, _CALM), np.uint8))
    calm = cv2.GaussianBlur(calm, (0, 0), 4.0 / _COARSE)
    calm = _fine_grid(np.minimum(np.hypot(calm, _MIN_CHANGE), _MAX_CHANGE))
    dark = min(_DARK, 1.5 * float(luma.mean()) + 1.0)
    return calm * np.minimum(1.0, 0.3 + 0.7 * luma / dark)


def _bell(size: float) -> np.ndarray:
    return cv2.getGaussianKernel(2 * round(3 * size) + 1, size)


def _even(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the luma without coarse shapes over its local contrast, and that."""
    fine = cv2.subtract(luma, _fine_grid(_coarse(luma, 10.0)))
    energy = _coarse(cv2.multiply(fine, fine), 4.0)
    contrast = _fine_grid(np.sqrt(energy + np.float32(_WEIGHED**2)))
    even = cv2.divide(fine, contrast)
    return np.clip(even, -3.0, 3.0, out=even), contrast


def _values(
    luma: np.ndarray, indices: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, float]:
    """Returns the coefficients of each group, clipped, and their root mean square."""
    values = cv2.dct(_even(luma)[0]).ravel()[indices] / weight
    spread = max(float(np.sqrt((values**2).mean())), 0.05)
    return values.clip(-3 * spread, 3 * spread), spread


@functools.lru_cache(maxsize=4)
def _pattern(key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns signs, places and the expected size of the coefficients of each group.

    The signs come from SHA-256 of the key, not from a random generator that could
    change with a version of NumPy.
    """
    axis = np.arange(SIDE)
    radius = np.hypot(axis[:, None], axis[None, :])
    band = np.flatnonzero((radius >= BAND[0]) & (radius < BAND[1]))
    groups = PRESENCE_BITS + PAYLOAD_BITS
    length = len(band) // groups
    order = np.argsort(_numbers(f"{key} order", len(band)), kind="stable")
    indices = band[order[: groups * length]].reshape(groups, length)
    signs = _numbers(f"{key} signs", groups * length) & 1
    chips = (2.0 * signs - 1.0).astype(np.float32).reshape(groups, length)
    weight = np.sqrt(100.0 / radius.ravel()[indices])
    return chips, indices, weight.astype(np.float32)


def _numbers(text: str, count: int) -> np.ndarray:
    """Returns 64-bit numbers that follow from a text."""
    blocks = -(-count // 4)
    data = b"".join(
        hashlib.sha256(f"{text} {i}".encode()).digest() for i in range(blocks)
    )
    return np.frombuffer(data, "<u8")[:count]

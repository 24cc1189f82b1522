"""An invisible mark over a whole picture: keyed spread spectrum in its DCT.

The luma is scaled to 512 x 512 and transformed as a whole. Groups of coefficients of a
middle band carry one bit each: their sum with pseudo-random signs is pushed just as far
as it takes (host-aware, so a picture that happens to carry the bit is left alone). 16
groups carry a known pattern, 32 carry the payload.

The score of a picture without a mark is a sum of independent terms, scaled to mean 0
and standard deviation 1. From `THRESHOLD` on it is taken for a mark; by the normal
distribution that is wrong once in 3.5 million pictures.

The mark survives scaling and compression, but neither cropping nor rotation.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import cv2
import numpy as np

SIDE = 512
BAND = (40, 140)  # radius in the DCT, in half periods a side
PRESENCE_BITS, PAYLOAD_BITS = 16, 32
STRENGTH = 3.0  # standard deviations each group is pushed to
THRESHOLD = 5.0
KEY = "facedancer swapped face, 1"
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


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
        key: Who does not know it cannot find the mark.
        strength: See `STRENGTH`.
    """
    return add(image, difference(image, payload, key, strength))


def difference(
    image: np.ndarray, payload: int, key: str = KEY, strength: float = STRENGTH
) -> np.ndarray:
    """Returns what to add to a picture, at 512 x 512.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        payload: 32 bits.
        key: See `embed`.
        strength: See `embed`.

    Returns:
        `(512, 512)` float32, luma in units of 1/255.
    """
    chips, places, weight = _pattern(key)
    values, spread = _values(image, places, weight)
    statistic = (np.clip(values, -3 * spread, 3 * spread) * chips).mean(axis=1)
    bits = _bits(payload)
    aim = bits * strength * spread / np.sqrt(chips.shape[1])
    need = np.where(bits * statistic < np.abs(aim), aim - statistic, 0.0)
    coefficients = np.zeros(SIDE * SIDE, np.float32)
    coefficients[places] = need[:, None] * chips * weight
    return cv2.idct(coefficients.reshape(SIDE, SIDE))


def add(image: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Returns a picture with a difference added to red, green and blue alike.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        change: What `difference` gave, for this picture or one much like it.
    """
    height, width = image.shape[:2]
    change = cv2.resize(change, (width, height), interpolation=cv2.INTER_LINEAR)
    change = np.rint(change).astype(np.int16)
    three = cv2.merge([change] * 3)
    return cv2.add(image, three, dtype=cv2.CV_8U)


def detect(image: np.ndarray, key: str = KEY) -> Detection:
    """Returns whether a picture is marked, and with what.

    Args:
        image: `(height, width, 3)` uint8 RGB, of any size.
        key: The key it would have been marked with.
    """
    return read_statistic(statistic_of(image, key))


def statistic_of(image: np.ndarray, key: str = KEY) -> np.ndarray:
    """Returns the correlation of each group, in standard deviations.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        key: See `detect`.

    Returns:
        `(48,)` float64; frames of one clip may be averaged (`read_statistic`).
    """
    chips, places, weight = _pattern(key)
    values, spread = _values(image, places, weight)
    clipped = np.clip(values, -3 * spread, 3 * spread)
    return (clipped * chips).mean(axis=1) * np.sqrt(chips.shape[1]) / spread


def read_statistic(statistic: np.ndarray) -> Detection:
    """Returns what the correlations of the groups say.

    The score adds the 16 groups whose sign is known and the sizes of the other 32,
    less what these are on average without a mark.

    Args:
        statistic: What `statistic_of` gave, or its mean over frames of a clip, whose
            score is no less certain than that of one frame.
    """
    known = _bits(0)[:PRESENCE_BITS]
    carried = statistic[PRESENCE_BITS:]
    # Of a standard normal variable |x| has mean sqrt(2/pi), variance 1 - 2/pi.
    size = np.abs(carried).sum() - PAYLOAD_BITS * np.sqrt(2 / np.pi)
    variance = PRESENCE_BITS + PAYLOAD_BITS * (1 - 2 / np.pi)
    score = ((statistic[:PRESENCE_BITS] * known).sum() + size) / np.sqrt(variance)
    payload = int(sum(1 << i for i, value in enumerate(carried) if value > 0))
    return Detection(float(score), payload)


def _bits(payload):
    """Returns the 48 signs: a fixed pattern, then the payload, lowest bit first."""
    fixed = [1, -1] * (PRESENCE_BITS // 2)
    carried = [1 if payload >> i & 1 else -1 for i in range(PAYLOAD_BITS)]
    return np.array(fixed + carried, np.float32)


def _values(image, places, weight):
    luma = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) @ _LUMA
    values = cv2.dct(luma).ravel()[places] / weight
    return values, max(float(np.sqrt((values**2).mean())), 1e-6)


@functools.lru_cache(maxsize=4)
def _pattern(key):
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
    places = band[order[: groups * length]].reshape(groups, length)
    signs = _numbers(f"{key} signs", groups * length) & 1
    chips = (2.0 * signs - 1.0).astype(np.float32).reshape(groups, length)
    return chips, places, (100.0 / radius.ravel()[places]).astype(np.float32)


def _numbers(text, count):
    """Returns 64-bit numbers that follow from a text."""
    blocks = -(-count // 4)
    data = b"".join(
        hashlib.sha256(f"{text} {i}".encode()).digest() for i in range(blocks)
    )
    return np.frombuffer(data, "<u8")[:count]

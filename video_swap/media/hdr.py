"""HDR video (PQ or HLG, BT.2020) to ordinary 8-bit BT.709."""

from __future__ import annotations

import numpy as np

# Transfer characteristics of H.273 that mean HDR.
CURVES = {16: "PQ", 18: "HLG"}
# Linear light, BT.2020 to BT.709 primaries (ITU-R BT.2087).
BT709_FROM_BT2020 = np.array(
    [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    np.float32,
)
REFERENCE_WHITE = 203.0  # cd/m2 of diffuse white in HDR (ITU-R BT.2408)
_PEAK = 1000.0  # cd/m2 that still keeps detail


def light_from_pq(signal: np.ndarray) -> np.ndarray:
    """Returns light in cd/m2 of PQ signals in [0, 1] (SMPTE ST 2084)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = np.power(signal, 1 / m2)
    return 10000.0 * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1)


def light_from_hlg(signal: np.ndarray) -> np.ndarray:
    """Returns light in cd/m2 of HLG signals in [0, 1] on a 1000 cd/m2 display.

    Inverse OETF of ITU-R BT.2100; the system gamma of 1.2 is applied to each channel,
    an approximation that leaves grey right.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return _PEAK * np.power(scene, 1.2)


class ToneMap:
    """Turns 16-bit HDR frames into 8-bit BT.709 ones.

    Light up to diffuse white keeps its ratio; what is brighter is rolled off towards
    white, smoothly, by the largest of the three channels so that hues stay.

    Args:
        transfer: Code of the transfer curve, a key of `CURVES`.
    """

    def __init__(self, transfer: int) -> None:
        curve = light_from_pq if CURVES[transfer] == "PQ" else light_from_hlg
        signal = np.arange(4096, dtype=np.float64) / 4095
        self.table = (curve(signal) / REFERENCE_WHITE).astype(np.float32)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Converts one frame.

        Args:
            image: `(height, width, 3)` uint16, the full range.

        Returns:
            `(height, width, 3)` uint8.
        """
        linear = self.table[image >> 4] @ BT709_FROM_BT2020.T
        linear = np.maximum(linear, 0.0)
        peak = np.maximum(linear.max(axis=2, keepdims=True), 1e-6)
        linear *= roll_off(peak) / peak
        # BT.709 displays show 2.4 power (BT.1886); white of the SDR signal is 1.
        return np.rint(255.0 * np.power(linear.clip(0, 1), 1 / 2.4)).astype(np.uint8)


def roll_off(light: np.ndarray, knee: float = 0.75) -> np.ndarray:
    """Returns light in [0, 1] of light above 0 whose diffuse white is 1.

    The identity up to the knee, then a curve with the same slope there that tends to 1.

    Args:
        light: Light in units of diffuse white.
        knee: Where the bending begins.
    """
    over = np.maximum(light - knee, 0.0) / (1.0 - knee)
    return np.where(light <= knee, light, knee + (1.0 - knee) * over / (1.0 + over))

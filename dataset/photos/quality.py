"""How sharp a crop is."""

from __future__ import annotations

import cv2
import numpy as np


def sharpness(crop: np.ndarray) -> float:
    """Returns the variance of the Laplacian of a crop's middle, at 112 pixels.

    A blurred face has about 20 and less, a sharp one some hundreds
    (Pech-Pacheco et al. 2000).

    Args:
        crop: `(size, size, 3)` uint8 RGB.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (112, 112), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey[16:96, 16:96], cv2.CV_64F).var())

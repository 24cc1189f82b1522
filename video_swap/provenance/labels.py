"""What every output carries: a mark in the picture, a signature on the file."""

from __future__ import annotations

import logging
import pathlib

import cv2
import numpy as np

from facedancer.video_swap.pixels.picture import Picture, Rgb
from facedancer.video_swap.provenance import credentials, signing, watermark
from facedancer.video_swap.settings import LabelSettings

_TEXT = "AI face swap"


class Labeller:
    """Marks frames and signs files.

    Args:
        settings: How.

    Attributes:
        generator: Name of the generator, written into the signature.

    Raises:
        InputError: If the signing credentials cannot be used.
    """

    def __init__(self, settings: LabelSettings) -> None:
        self.settings, self.generator = settings, ""
        self.credentials = None
        if settings.provenance == "on":
            self.credentials = credentials.load_credentials(
                settings.signing_key, settings.signing_certificate
            )
        else:
            logging.getLogger("absl").warning(
                "Provenance is off: the result carries no signature and no watermark. "
                "Who publishes it must label it in another way"
            )
        self._marker = watermark.Marker(self.payload)

    @property
    def describe(self) -> str:
        """What of the settings shows in the picture, for a later run to compare."""
        shows = (self.settings.provenance, self.settings.visible_label, self.payload)
        return str(shows)

    @property
    def payload(self) -> int:
        """The 32 bits of the watermark: they name the certificate that signs."""
        if self.credentials is None:
            return 0
        return self.credentials.number

    def mark(self, image: np.ndarray, index: int) -> np.ndarray:
        """Returns a photo with its watermark, and the readable label if asked for.

        Args:
            image: `(height, width, 3)` uint8 RGB; it may be changed.
            index: Number of the frame in its segment, from 0 in order.
        """
        return self.mark_picture(Rgb(image), index).image

    def mark_picture(self, picture: Picture, index: int) -> Picture:
        """Returns a picture with its watermark, and the label if asked for.

        Args:
            picture: The picture; it may be changed.
            index: See `mark`.
        """
        if self.settings.visible_label:
            picture = Rgb(draw_label(picture.image))
        if self.credentials is None:
            return picture
        return self._marker.mark(picture, index)

    def sign(
        self,
        path: pathlib.Path,
        target: pathlib.Path | signing.Parent,
        output: pathlib.Path,
    ) -> str:
        """Signs a finished file and returns what was done, in words.

        Args:
            path: The file; it may have a temporary name.
            target: The file it was made from, or the `Parent` of several.
            output: The name it will have.

        Raises:
            InputError: If the credentials cannot sign.
        """
        if self.credentials is None:
            return "off"
        if isinstance(target, signing.Parent):
            parent = target
        else:
            parent = signing.Parent(target)
        signed = signing.sign(path, parent, output, self.generator, self.credentials)
        return f"watermarked, {signed}"


def draw_label(image: np.ndarray) -> np.ndarray:
    """Returns a picture with a readable label in its lower left corner.

    Args:
        image: `(height, width, 3)` uint8 RGB.
    """
    image = np.ascontiguousarray(image)
    height = image.shape[0]
    scale, thick = height / 720.0, max(1, round(height / 480))
    font, corner = cv2.FONT_HERSHEY_SIMPLEX, (round(height / 48), height - height // 36)
    for colour, width in (((0, 0, 0), 3 * thick), ((255, 255, 255), thick)):
        cv2.putText(image, _TEXT, corner, font, scale, colour, width, cv2.LINE_AA)
    return image

"""Photos with the face that is measured in them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib

import numpy as np

from facedancer.imaging import images
from facedancer.storage import files


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo of a file, or one that was just made.

    Attributes:
        name: What reports call it.
        digest: SHA-256 of the file or of the pixels, by which results are cached.
        path: The file; None for one that was made.
        pixels: `(height, width, 3)` uint8 RGB while it is in memory.
    """

    name: str
    digest: str
    path: pathlib.Path | None = None
    pixels: np.ndarray | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def of_file(cls, path: str | os.PathLike, name: str = "") -> Photo:
        """Returns the photo of a file, not yet decoded.

        Args:
            path: The file.
            name: What reports call it; empty for the path.

        Raises:
            InputError: If there is no such file.
        """
        return cls(name or str(path), files.file_hash(path), pathlib.Path(path))

    @classmethod
    def of_pixels(cls, name: str, pixels: np.ndarray) -> Photo:
        """Returns a photo that is in memory.

        Args:
            name: What reports call it.
            pixels: `(height, width, 3)` uint8 RGB.
        """
        digest = hashlib.sha256(repr(pixels.shape).encode())
        digest.update(np.ascontiguousarray(pixels).tobytes())
        return cls(name, digest.hexdigest(), None, pixels)

    def read(self) -> np.ndarray:
        """Returns `(height, width, 3)` uint8 RGB.

        Raises:
            InputError: If the file cannot be read.
        """
        if self.pixels is not None:
            return self.pixels
        if self.path is None:
            raise ValueError(f"{self.name}: has neither pixels nor a file")
        return images.read_image(self.path)

    def loaded(self) -> Photo:
        """Returns the photo with its pixels in memory.

        Raises:
            InputError: If the file cannot be read.
        """
        return dataclasses.replace(self, pixels=self.read())

    def unloaded(self) -> Photo:
        """Returns the photo without its pixels; one that was made is then empty."""
        return dataclasses.replace(self, pixels=None)


@dataclasses.dataclass(frozen=True)
class Face:
    """The face that is measured in a photo.

    Attributes:
        photo: The photo.
        box: `(4,)` x_min, y_min, x_max, y_max in its pixels.
        landmarks: `(5, 2)` in its pixels.
        found: False where the detector saw no face and the place was taken from
            elsewhere.
    """

    photo: Photo
    box: np.ndarray
    landmarks: np.ndarray
    found: bool = True

    @property
    def key(self) -> str:
        """What results for this face are cached by."""
        digest = hashlib.sha256(self.photo.digest.encode())
        for part in (self.box, self.landmarks):
            digest.update(np.asarray(part, "<f4").tobytes())
        return digest.hexdigest()

"""What swapping from Python takes and gives back; see `video_swap.api`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from facedancer.arcface_model import cosine_matrix
from facedancer.errors import InputError
from facedancer.face.faces import Faces
from facedancer.imaging import images
from facedancer.imaging import photo as photos
from facedancer.imaging.photo import Photo, pixels_of
from facedancer.storage import files
from facedancer.video_swap.provenance import labels


@dataclasses.dataclass(frozen=True)
class Identity:
    """Who somebody is, as an encoder sees it; `Swapper.identity` makes one.

    Attributes:
        vector: `(d,)` float32, not normalised.
        encoder: Name and hash of the encoder: vectors of another one mean nothing.
        name: What reports call it.
        bare: The vector without glasses, where some were seen and the encoder is known;
            None: they are the same.
    """

    vector: np.ndarray
    encoder: str
    name: str = "somebody"
    bare: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class FoundFaces:
    """The faces of a photo, and who looks like whom.

    Attributes:
        faces: Boxes, landmarks and scores, best score first.
        identities: One a face, in the same order.
        alike: `(n, n)` float32, cosines between the faces.
    """

    faces: Faces
    identities: tuple[Identity, ...]
    alike: np.ndarray

    def __len__(self) -> int:
        return len(self.faces)

    def like(self, known: Mapping[str, Identity]) -> list[tuple[str, float]]:
        """Returns for each face who of some people it is most like, and the cosine.

        Args:
            known: People by name.

        Raises:
            InputError: If somebody's vector is of another encoder.
        """
        if not len(self) or not known:
            return [("", 0.0)] * len(self)
        for name, identity in known.items():
            check_encoder(identity, self.identities[0].encoder, name)
        table = cosine_matrix(
            np.stack([face.vector for face in self.identities]),
            np.stack([identity.vector for identity in known.values()]),
        )
        names = list(known)
        return [(names[int(row.argmax())], float(row.max())) for row in table]


class SwappedImage:
    """A photo with swapped faces; NumPy takes it for its pixels.

    Attributes:
        image: `(height, width, 3)` uint8 RGB, watermarked.
        faces: All faces that were found, swapped or not.
        swapped: For each face whether it was swapped.
        provenance: What became of the signature, in words; empty before `save`.
    """

    def __init__(
        self,
        image: np.ndarray,
        faces: Faces,
        swapped: Sequence[bool],
        target: Photo,
        labeller: labels.Labeller,
    ) -> None:
        self.image, self.faces = image, faces
        self.swapped, self.provenance = tuple(swapped), ""
        self._target, self._labeller = target, labeller

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.image, dtype=dtype, copy=copy)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, 3."""
        return self.image.shape

    def save(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes the photo, signed; it appears whole or not at all. Returns its path.

        Args:
            path: File to write, .png, .jpg or .webp.

        Raises:
            InputError: If it cannot be written, or would replace the target.
        """
        output = pathlib.Path(path)
        with as_file(self._target) as target:
            if output.exists() and output.samefile(target):
                raise InputError(
                    f"The result must not replace the target. Received: {output}"
                )
            with files.whole(output) as temporary:
                images.write_image(temporary, self.image)
                self.provenance = self._labeller.sign(temporary, target, output)
        return output


@dataclasses.dataclass(frozen=True)
class ClipResult:
    """What was done to a clip.

    Attributes:
        output: The file or folder that was written.
        frames: Frames of it.
        faces_swapped: Faces that were swapped, over all frames.
        provenance: What became of mark and signature, in words.
        notes: What the user should know, one line each.
        damage: Stretches `(start, end)` in seconds that could not be decoded in full.
        report: All of it, as the program's `--report` writes it.
    """

    output: pathlib.Path
    frames: int
    faces_swapped: int
    provenance: str
    notes: tuple[str, ...]
    damage: tuple[tuple[float, float], ...]
    report: dict[str, Any]


def check_encoder(identity: Identity, encoder: str, name: str = "") -> Identity:
    """Returns an identity if it is of an encoder.

    Args:
        identity: Somebody.
        encoder: Name and hash of the encoder.
        name: What to call the identity in the message; empty: its name.

    Raises:
        InputError: If it is of another one.
    """
    if identity.encoder != encoder:
        raise InputError(
            f"The identity {name or identity.name} was made with the encoder "
            f"{identity.encoder}; this swapper's is {encoder}. Make it again with "
            "this swapper's `identity`"
        )
    return identity


def name_of(photo: Photo | Identity) -> str:
    """Returns what messages call a photo or an identity."""
    return photo.name if isinstance(photo, Identity) else photos.name_of(photo)


@contextlib.contextmanager
def as_file(photo: Photo) -> Iterator[pathlib.Path]:
    """Gives the file of a photo, a temporary one if it has none.

    Args:
        photo: A path, a PIL image or an array.
    """
    if isinstance(photo, str | os.PathLike):
        yield pathlib.Path(photo)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield images.write_image(pathlib.Path(folder, "picture.png"), pixels_of(photo))

"""Whose face goes where: identities of source photos, and the choice of faces."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from facedancer.arcface_model import Embedder, cosine_matrix, mean_of_embeddings
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.face.faces import Faces
from facedancer.face.photo_search import search_photos
from facedancer.imaging import images
from facedancer.networks.contract import InputContract
from facedancer.video_swap.compositing import pixel_aspect
from facedancer.video_swap.pixels.picture import Picture, Rgb
from facedancer.video_swap.settings import ORDERS, SOURCE_FACES
from facedancer.video_swap.swapping import source_faces
from facedancer.video_swap.swapping.source_glasses import GlassesOff

# From which cosine on two photos are taken as one person: by encoder where it was
# measured (one in 100 pairs of different people passes: benchmarks/same_person.py),
# else by architecture.
_SAME_PERSON = {
    "mobilefacenet@4f8bba57": 0.28,  # the packaged one
    "mobilefacenet@05295e97": 0.29,  # the one before it
    "mobilefacenet": 0.35,
    "resnet50": 0.30,
}
_SAME_PERSON_ELSE = 0.35
# By how much more a face must be like another reference than like one of a person who
# is not to be swapped.
_CLEARLY = 0.05


@dataclasses.dataclass(frozen=True)
class Rule:
    """Faces like `reference` get the identity `source`.

    Attributes:
        name: What the report calls it.
        reference: `(d,)` embedding, None for any face that no other rule takes.
        source: `(d,)` raw embedding; the number of a person for a generator that is
            told such, any number for one that knows one person; None leaves the faces
            as they are.
        picture: `(size, size, 3)` uint8 RGB, an aligned crop of the source, for
            generators that are fed a reference.
    """

    name: str
    reference: np.ndarray | None
    source: np.ndarray | int | None
    picture: np.ndarray | None = None


class IdentityReader:
    """Turns photos of people into identity vectors.

    Args:
        detector: Finds the face in a photo.
        embedder: Turns aligned crops into vectors.
        align: Whether photos are searched for a face and aligned; without it they must
            already be aligned crops and are only resized.
        face: Which face of a photo with several is taken, see `source_faces.pick`.
        max_pixels: Largest photo that is read.
        glasses: Takes glasses off the vectors; None: they stay.

    Attributes:
        notes: Which faces were taken of photos with several, what was passed over,
            whose glasses were left out.
    """

    def __init__(
        self,
        detector: Any,
        embedder: Embedder,
        align: bool = True,
        face: str = SOURCE_FACES[0],
        max_pixels: int = images.MAX_PIXELS,
        glasses: GlassesOff | None = None,
    ) -> None:
        self.detector, self.embedder, self.align = detector, embedder, align
        self.face, self.max_pixels, self.glasses = face, max_pixels, glasses
        self.notes: list[str] = []

    def read(self, paths: Sequence[str | os.PathLike]) -> np.ndarray:
        """Returns the mean identity of one person.

        Args:
            paths: Photos, and folders of photos, of that person.

        Returns:
            `(d,)` float32, not normalised.

        Raises:
            InputError: If a photo named itself has no face, or no photo of a folder
                has one.
        """
        found = self.embed(self.crops(paths))
        return mean_of_embeddings(found)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Returns the identity vectors of a person's crops, `(n, d)` float32.

        Args:
            crops: `(n, size, size, 3)` uint8 RGB, aligned for the encoder.
        """
        vectors = self.embedder.embed(crops)
        if self.glasses is None:
            return vectors
        bare = self.glasses(vectors, crops)
        if worn := int((bare != vectors).any(axis=1).sum()):
            self.notes.append(
                f"Glasses on {worn} of {len(crops)} photos of a person were left out "
                "of the identity; --source_glasses=keep takes them over"
            )
        return bare

    def crops(self, paths: Sequence[str | os.PathLike]) -> np.ndarray:
        """Returns the aligned crops of one person, `(n, size, size, 3)` uint8 RGB.

        Args:
            paths: See `read`.

        Raises:
            InputError: See `read`.
        """
        crops = []
        for path in paths:
            if pathlib.Path(path).is_dir():
                crops += self._from_folder(path)
            else:
                crop, note = self._crop_of(path)
                crops.append(crop)
                self.notes += [note] if note else []
        if not crops:
            raise InputError("At least one photo must be given with --swap_source")
        return np.stack(crops)

    def _from_folder(self, folder: str | os.PathLike) -> list[np.ndarray]:
        """Photos without a face in a folder of many are no reason to stop."""
        found, several, unused = [], 0, []
        for path in images.list_images(folder):
            try:
                crop, note = self._crop_of(path)
            except InputError as error:
                unused.append(str(error))
                continue
            found.append(crop)
            several += bool(note)
        if not found:
            raise InputError(
                f"{folder}: no face was found in any of its photos; for instance "
                f"{unused[0]}"
            )
        if unused:
            self.notes.append(
                f"{folder}: {len(unused)} of {len(unused) + len(found)} photos were "
                f"passed over; for instance {unused[0]}"
            )
        if several:
            self.notes.append(
                f"{folder}: {several} of its photos show several faces; "
                f"{source_faces.in_words(self.face)} was taken of each"
            )
        return found

    def picture(self, path: str | os.PathLike, contract: InputContract) -> np.ndarray:
        """Returns an aligned crop of a person, `(size, size, 3)` uint8 RGB.

        Args:
            path: A photo, or a folder of photos: then its first one.
            contract: The `InputContract` of the network that is fed it.

        Raises:
            InputError: If there is no face.
        """
        photos = images.list_images(path) if pathlib.Path(path).is_dir() else [path]
        if not photos:
            raise InputError(f"{path}: holds no photos")
        photo = images.read_image(photos[0], self.max_pixels)
        return self.crop_in(photo, str(photos[0]), contract)[0]

    def _crop_of(self, path: str | os.PathLike) -> tuple[np.ndarray, str]:
        return self.crop_in(images.read_image(path, self.max_pixels), str(path))

    def crop_in(
        self, image: np.ndarray, name: str, contract: InputContract | None = None
    ) -> tuple[np.ndarray, str]:
        """Returns the crop of the face that is meant, and what is to be said of it.

        Args:
            image: `(height, width, 3)` uint8 RGB, the photo.
            name: Of the photo, for messages.
            contract: The `InputContract` the crop is for; None: the encoder's.

        Raises:
            InputError: If there is no face, or not the one that is meant.
        """
        contract = contract or self.embedder.encoder.contract
        if not self.align:
            matrix = _whole(image, contract.size)
            return alignment.crop(image, matrix, contract.size), ""
        faces = search_photos(self.detector, [image])[0]
        if not len(faces):
            raise InputError(
                f"{name}: no face was found in this photo. Give one with a clear "
                "face, or an aligned crop with --align_source=false"
            )
        taken = source_faces.pick(faces, image.shape[:2], self.face, name)
        note = source_faces.note(faces, taken, self.face, name)
        return crop_of(Rgb(image), faces.landmarks[taken], contract), note


def _whole(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the matrix that fits a whole image to a crop's square."""
    height, width = image.shape[:2]
    x, y = size / width, size / height
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5]])


def cut(picture: Picture, matrix: np.ndarray, size: int) -> np.ndarray:
    """Returns an aligned crop, see `alignment.crop`.

    Args:
        picture: The picture.
        matrix: `(2, 3)` from the picture to the crop.
        size: Side of the crop in pixels.
    """
    window, shifted = picture.window(matrix, size)
    return alignment.crop(window, shifted, size)


def crop_of(
    picture: Picture,
    landmarks: np.ndarray,
    contract: InputContract,
    aspect: float = 1.0,
) -> np.ndarray:
    """Returns the aligned crop of one face, as a network's contract wants it.

    Args:
        picture: The picture.
        landmarks: `(5, 2)` pixels of it.
        contract: The network's `InputContract`.
        aspect: Width over height of one of its pixels.

    Returns:
        `(size, size, 3)` uint8 RGB.
    """
    matrix = pixel_aspect.crop_matrix(landmarks, contract.size, contract, aspect)
    return cut(picture, matrix, contract.size)


def embed_crops(embedder: Embedder, faces: np.ndarray) -> np.ndarray:
    """Returns the identity vectors of faces that are roughly aligned, of any size.

    Args:
        embedder: What embeds.
        faces: `(n, size, size, 3)` uint8 RGB.
    """
    size = embedder.encoder.contract.size
    return embedder.embed(np.stack([images.resize(face, size) for face in faces]))


def default_threshold(encoder_name: str) -> float:
    """Returns the cosine from which two faces are taken as one person.

    Args:
        encoder_name: `name_with_hash` of the encoder.
    """
    name = encoder_name.lower()
    kind = _SAME_PERSON.get(name.split("@")[0], _SAME_PERSON_ELSE)
    return _SAME_PERSON.get(name, kind)


def choose(
    embeddings: np.ndarray | None, rules: Sequence[Rule], threshold: float, count: int
) -> list[int | None]:
    """Returns which rule each face falls under.

    Nobody is in an image twice, so each reference takes one face, the one most like it
    if the cosine reaches the threshold; a face that several take goes to the one it is
    most like. Only a reference without a source takes every face that reaches the
    threshold, unless another one that takes it is clearly more like it: when in doubt a
    face is left alone. Faces that none takes fall under the rule without a reference,
    if there is one.

    Args:
        embeddings: `(count, d)` of all faces of one image; None where no rule has a
            reference.
        rules: The rules.
        threshold: Smallest cosine.
        count: Number of faces.

    Returns:
        For each face the index of its rule, None for no rule.
    """
    general = next((i for i, rule in enumerate(rules) if rule.reference is None), None)
    special = [i for i, rule in enumerate(rules) if rule.reference is not None]
    if not special or count == 0 or embeddings is None:
        return [general] * count
    references = [rule.reference for rule in rules if rule.reference is not None]
    likeness = cosine_matrix(embeddings, np.stack(references))
    spared = np.array([rules[i].source is None for i in special])
    nearest = likeness.argmax(axis=0) == np.arange(count)[:, None]
    takes = (likeness >= threshold) & (nearest | spared)
    rank = np.where(takes, likeness + _CLEARLY * spared, -np.inf)
    return [
        special[int(row.argmax())] if row.max() > -np.inf else general for row in rank
    ]


def keep_by_order(faces: Faces, order: str) -> np.ndarray:
    """Returns the places of the faces that an order keeps.

    Args:
        faces: The faces of one image.
        order: One of `ORDERS`: all, or one by size, score or place.

    Raises:
        ValueError: If the order is unknown.
    """
    if order not in ORDERS:
        raise ValueError(f"`order` must be one of {ORDERS}. Received: order={order!r}")
    if order == "all" or len(faces) == 0:
        return np.arange(len(faces))
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    keys = {
        "largest": -faces.areas,
        "best": -faces.scores,
        "left": centres[:, 0],
        "right": -centres[:, 0],
        "top": centres[:, 1],
        "bottom": -centres[:, 1],
    }
    return np.array([int(np.argmin(keys[order]))])

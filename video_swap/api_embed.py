"""Identity vectors from Python, as the swapping programs compute them."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Sequence

import numpy as np

from facedancer.arcface_model import Embedder, load_embedder
from facedancer.errors import InputError
from facedancer.imaging.photo import Photo, as_list, name_of, pixels_of
from facedancer.retinaface import Detector, api
from facedancer.video_swap.settings import SOURCE_FACES, check_face
from facedancer.video_swap.swapping import identities


def embed(
    photos: Photo | Sequence[Photo],
    encoder: str | os.PathLike | Embedder = "",
    detector: str | os.PathLike | Detector = "",
    align: bool = True,
    face: str = SOURCE_FACES[0],
) -> np.ndarray:
    """Returns the identity vector of the face in each photo.

    Args:
        photos: A photo or a list of them, each a path, a PIL image, or a
            `(height, width, 3)` uint8 RGB array.
        encoder: An identity encoder's file, or what `load_embedder` gave; empty: the
            packaged one.
        detector: A face detector's file, or what `load_detector` gave; empty: the
            packaged one.
        align: Whether the face is searched for; without it photos must be aligned
            crops and are only resized.
        face: Which face of a photo with several, see `source_faces.pick`.

    Returns:
        `(n, d)` float32, not normalised, a row a photo; `(d,)` for one that is given
        by itself. The cosine of two rows says how alike two faces are:
        `facedancer.arcface_model.cosine`.

    Raises:
        InputError: If a photo has no face, or a file cannot be used.

    Example:
        vectors = facedancer.embed(["me.jpg", "anna.jpg"])
    """
    some, one = as_list(photos)
    try:
        check_face(face)
    except ValueError as error:
        raise InputError(str(error)) from None
    if isinstance(encoder, Embedder):
        embedder = encoder
    else:
        embedder = load_embedder(encoder) if encoder else _packaged_embedder()
    if align and not isinstance(detector, Detector):
        detector = api.loaded(os.fspath(detector))
    reader = identities.IdentityReader(detector, embedder, align, face)
    crops = []
    for photo in some:
        crop, note = reader.crop_in(pixels_of(photo), name_of(photo))
        crops.append(crop)
        if note:
            logging.getLogger("absl").warning(note)
    vectors = embedder.embed(np.stack(crops))
    return vectors[0] if one else vectors


@functools.cache
def _packaged_embedder() -> Embedder:
    return load_embedder()

"""What is judged: a generator, or one of two bounds that need none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from facedancer import alignment
from facedancer.errors import InputError
from facedancer.evaluation.inputs.photos import Face
from facedancer.video_swap.compositing import masks, paste
from facedancer.video_swap.swapping import identities
from facedancer.video_swap.swapping.networks import Networks
from facedancer.video_swap.swapping.swapper import FaceJob, FaceSwapper, SwapSettings

_PASTE_SIZE = 192  # side of the crop that is pasted, pixels


class Swapper(Protocol):
    """What is measured.

    Attributes:
        name: What reports call it.
        encoder_name: The encoder it is conditioned on, empty for none.
    """

    name: str
    encoder_name: str

    def swap(
        self, sources: Sequence[Face], targets: Sequence[Face]
    ) -> list[np.ndarray]:
        """Returns the results, a list of `(height, width, 3)` uint8 RGB.

        Args:
            sources: Who is put in.
            targets: Faces that are changed.
        """


@runtime_checkable
class IdentitySwapper(Protocol):
    """A swapper that takes identities as vectors, also ones that nobody has."""

    def embed(self, sources: Sequence[Face]) -> np.ndarray:
        """Returns the identities of faces, `(n, d)`.

        Args:
            sources: The faces.
        """

    def swap_identities(
        self, vectors: np.ndarray, targets: Sequence[Face]
    ) -> list[np.ndarray]:
        """Returns the results for given identities.

        Args:
            vectors: `(n, d)` identities.
            targets: Faces that are changed.
        """


class CopySwapper:
    """Returns the target as it is: attributes perfect, identity none.

    Attributes:
        name: What reports call it.
        encoder_name: The encoder it is conditioned on, empty for none.
    """

    name = "copy of the target"
    encoder_name = ""

    def swap(
        self, sources: Sequence[Face], targets: Sequence[Face]
    ) -> list[np.ndarray]:
        """Returns the results, a list of `(height, width, 3)` uint8 RGB.

        Args:
            sources: Who is put in.
            targets: Faces that are changed.
        """
        return [target.photo.read() for target in targets]


class PasteSwapper:
    """Pastes the source's aligned face: identity near perfect, attributes the source's.

    Attributes:
        name: What reports call it.
        encoder_name: The encoder it is conditioned on, empty for none.
    """

    name = "paste of the source"
    encoder_name = ""

    def swap(
        self, sources: Sequence[Face], targets: Sequence[Face]
    ) -> list[np.ndarray]:
        """Returns the results, a list of `(height, width, 3)` uint8 RGB.

        Args:
            sources: Who is put in.
            targets: Faces that are changed.
        """
        return [self._paste(s, t) for s, t in zip(sources, targets, strict=True)]

    def _paste(self, source: Face, target: Face) -> np.ndarray:
        matrix = alignment.crop_matrix(target.landmarks, _PASTE_SIZE, "arcface", 0.8)
        own = alignment.crop_matrix(source.landmarks, _PASTE_SIZE, "arcface", 0.8)
        face = alignment.crop(source.photo.read(), own, _PASTE_SIZE)
        places = alignment.apply(matrix, target.landmarks)
        result = target.photo.read().copy()
        mask = masks.face_mask(places, _PASTE_SIZE)
        paste.paste(result, face.astype(np.float32), mask, matrix)
        return result


class GeneratorSwapper:
    """Runs a generator as the swapping programs do, and pastes its face back.

    Args:
        networks: What `load_networks` gave.
        encoder_name: The encoder the generator was trained with, empty if unknown.
        settings: How faces are put back.

    Raises:
        InputError: If the generator is not told by an identity vector.
    """

    def __init__(
        self,
        networks: Networks,
        encoder_name: str = "",
        settings: SwapSettings | None = None,
    ) -> None:
        self.networks, self.settings = networks, settings or SwapSettings()
        self.name = networks.names["generator"]
        if (kind := networks.contract.identity.kind) != "vector":
            told = {
                "label": "a person's number",
                "none": "nothing",
            }
            raise InputError(
                "What is measured is how well photos of anybody are followed: the "
                "generator must take identity vectors. "
                f"Received: {self.name}, which is told {told[kind]}"
            )
        self.encoder_name = encoder_name or networks.names["encoder"]

    def swap(
        self, sources: Sequence[Face], targets: Sequence[Face]
    ) -> list[np.ndarray]:
        """Returns the results, a list of `(height, width, 3)` uint8 RGB.

        Args:
            sources: Who is put in.
            targets: Faces that are changed.
        """
        return self.swap_identities(self.embed(sources), targets)

    def embed(self, faces: Sequence[Face]) -> np.ndarray:
        """Returns the vectors the generator is conditioned on, `(n, d)` float32.

        Args:
            faces: The faces.
        """
        embedder = self.networks.embedder
        contract = embedder.encoder.contract
        crops = [
            identities.crop_of(face.photo.read(), face.landmarks, contract)
            for face in faces
        ]
        return embedder.embed(np.stack(crops))

    def swap_identities(
        self, vectors: np.ndarray, targets: Sequence[Face]
    ) -> list[np.ndarray]:
        """Returns the results for given identities.

        Args:
            vectors: `(n, d)` raw identity vectors.
            targets: `n` faces that are changed.

        Raises:
            InputError: If the generator gives values that are not finite.
        """
        rules = [identities.Rule(str(i), None, v) for i, v in enumerate(vectors)]
        swapper = FaceSwapper(
            self._finite,
            self.networks.contract,
            self.networks.detector,
            self.networks.embedder,
            rules,
            self.settings,
        )
        frames = [target.photo.read() for target in targets]
        jobs = [[FaceJob(target.landmarks, i)] for i, target in enumerate(targets)]
        return swapper.swap_frames(frames, jobs)

    def _finite(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the engine; values that are no numbers would become black faces."""
        made = self.networks.engine(feeds)
        if not all(np.isfinite(values).all() for values in made.values()):
            raise InputError(
                f"The generator {self.name} gave values that are not finite "
                f"({self.networks.names.get('engine', 'engine unknown')}). Try "
                "--engine=keras; if that gives the same, its weights are damaged"
            )
        return made

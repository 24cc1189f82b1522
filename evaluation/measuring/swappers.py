"""What is judged: a generator, or one of two bounds that need none."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from facedancer.errors import InputError
from facedancer.evaluation.inputs.photos import Face
from facedancer.face import alignment
from facedancer.video_swap.compositing import masks, paste
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.swapping import feeds, identities
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
        landmarks = alignment.apply(matrix, target.landmarks)
        result = target.photo.read().copy()
        mask = masks.face_mask(landmarks, _PASTE_SIZE)
        paste.paste(result, face.astype(np.float32), mask, matrix)
        return result


class NetworkSwapper:
    """Runs a generator as the swapping programs do, and pastes its face back.

    Args:
        networks: What `load_networks` gave.
        settings: How faces are put back.
    """

    def __init__(
        self, networks: Networks, settings: SwapSettings | None = None
    ) -> None:
        self.networks, self.settings = networks, settings or SwapSettings()
        self.name = networks.names["generator"]

    def _swap(
        self,
        told: Sequence[np.ndarray | int],
        targets: Sequence[Face],
        pictures: Sequence[np.ndarray | None] = (),
    ) -> list[np.ndarray]:
        """Returns the results for what the generator is told of each target."""
        shown = pictures or [None] * len(told)
        rules = [
            identities.Rule(str(i), None, one, picture)
            for i, (one, picture) in enumerate(zip(told, shown, strict=True))
        ]
        contract = self.networks.contract
        # The generator alone is measured, not what a parser leaves of its picture.
        parser = self.networks.parser if feeds.are_parsed(contract) else None
        swapper = FaceSwapper(
            self._finite,
            contract,
            self.networks.detector,
            self.networks.embedder,
            rules,
            self.settings,
            parser,
            self.networks.refiner,
        )
        frames = [target.photo.read() for target in targets]
        jobs = [[FaceJob(target.landmarks, i)] for i, target in enumerate(targets)]
        return swapper.swap_frames(frames, jobs)

    def _finite(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the engine; values that are no numbers would become black faces."""
        made = self.networks.engine(given)
        if not all(np.isfinite(values).all() for values in made.values()):
            raise InputError(
                f"The generator {self.name} gave values that are not finite "
                f"({self.networks.names.get('engine', 'engine unknown')}). Try "
                "--engine=keras; if that gives the same, its weights are damaged"
            )
        return made


class KnownSwapper(NetworkSwapper):
    """A generator that is told a number, or nothing: it shows people it knows.

    Args:
        networks: What `load_networks` gave.
        numbers: Number of the person on each source photo, by its whole path; one that
            shows one person only looks at none.
        settings: How faces are put back.
    """

    def __init__(
        self,
        networks: Networks,
        numbers: Mapping[pathlib.Path, int],
        settings: SwapSettings | None = None,
    ) -> None:
        super().__init__(networks, settings)
        self.encoder_name = networks.contract.identity.encoder
        self.numbers = numbers

    def swap(
        self, sources: Sequence[Face], targets: Sequence[Face]
    ) -> list[np.ndarray]:
        """Returns the results, a list of `(height, width, 3)` uint8 RGB.

        Args:
            sources: Photos of who is put in.
            targets: Faces that are changed.

        Raises:
            InputError: If it is not known who is on a source photo.
        """
        return self._swap([self._number(face) for face in sources], targets)

    def _number(self, face: Face) -> int:
        if self.networks.contract.identity.kind == "none":
            return 0
        path = face.photo.path
        if path is None or path.resolve() not in self.numbers:
            raise InputError(
                f"{self.name} is told a person's number: each source must be a photo "
                f"of --known_dir. Received: {face.photo.name}"
            )
        return self.numbers[path.resolve()]


class GeneratorSwapper(NetworkSwapper):
    """A generator that is told identity vectors, so it follows photos of anybody.

    Args:
        networks: What `load_networks` gave.
        encoder_name: The encoder the generator was trained with, empty if unknown.
        settings: How faces are put back.
    """

    def __init__(
        self,
        networks: Networks,
        encoder_name: str = "",
        settings: SwapSettings | None = None,
    ) -> None:
        super().__init__(networks, settings)
        self.encoder_name = encoder_name or networks.names["encoder"]

    def swap(
        self, sources: Sequence[Face], targets: Sequence[Face]
    ) -> list[np.ndarray]:
        """Returns the results, a list of `(height, width, 3)` uint8 RGB.

        Args:
            sources: Who is put in.
            targets: Faces that are changed.
        """
        contract = self.networks.contract
        pictures: list[np.ndarray | None] = [None] * len(sources)
        if "reference" in contract.inputs:
            pictures = [
                identities.crop_of(
                    Rgb(face.photo.read()), face.landmarks, contract.image
                )
                for face in sources
            ]
        return self._swap(list(self.embed(sources, as_source=True)), targets, pictures)

    def embed(self, faces: Sequence[Face], as_source: bool = False) -> np.ndarray:
        """Returns the vectors the generator is conditioned on, `(n, d)` float32.

        Args:
            faces: The faces.
            as_source: Without glasses, as a swap takes them of its source.
        """
        networks = self.networks
        contract = networks.embedder.encoder.contract
        crops = [
            identities.crop_of(Rgb(face.photo.read()), face.landmarks, contract)
            for face in faces
        ]
        reader = identities.IdentityReader(
            networks.detector,
            networks.embedder,
            glasses=networks.glasses(self.settings) if as_source else None,
        )
        return reader.embed(np.stack(crops))

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
        return self._swap(list(vectors), targets)

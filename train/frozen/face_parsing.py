"""A frozen face parser: what it sees of aligned crops, as masks for a generator."""

from __future__ import annotations

import numpy as np
from keras import ops

from facedancer.face import face_classes, face_maps
from facedancer.face.alignment import Alignment
from facedancer.models.families.face_parser.loading import load_network
from facedancer.models.families.face_parser.network import FaceParserNetwork
from facedancer.networks.tensors import Tensor

# Where a swap must leave the picture as it is.
OUTSIDE = (
    face_classes.BACKGROUND,
    face_classes.HAIR,
    face_classes.HAT,
    face_classes.EARRING,
)


class FaceParsing:
    """Parses crops whose landmarks lie where their alignment says.

    Args:
        network: The parser; it is not trained.
        size: Side of the crops in pixels.
        aligned: How they are aligned.

    Attributes:
        network: The parser.
        kinds: How many ways there are to hide a face, see `hidden`.
    """

    def __init__(
        self, network: FaceParserNetwork, size: int, aligned: Alignment
    ) -> None:
        network.trainable = False
        self.network, self._size = network, size
        self._side = network.config.image_size
        self._area = face_maps.face_area(aligned.landmarks(self._side), self._side)
        self._line = face_maps.nose_line(aligned.landmarks(size), size)
        low, high = face_maps.CELLS
        ways = [(n, cubic) for n in range(low, high + 1) for cubic in (False, True)]
        self._coarse = np.stack([face_maps.coarsening(size, *way) for way in ways])
        self.kinds = len(ways)

    def scores(self, image_signed: Tensor) -> Tensor:
        """Returns logits, `(batch, side, side, 19)` float32; gradients flow through.

        Args:
            image_signed: `(batch, size, size, 3)` in [-1, 1].
        """
        image = ops.cast(image_signed, "float32")
        if image.shape[1] != self._side:
            image = ops.image.resize(image, (self._side, self._side), antialias=True)
        return self.network(image, training=False)

    def classes(self, image_signed: Tensor) -> Tensor:
        """Returns indices into `face_classes.NAMES`, `(batch, side, side)` int32.

        Args:
            image_signed: See `scores`.
        """
        return ops.cast(ops.argmax(self.scores(image_signed), axis=-1), "int32")

    def hidden(self, image_signed: Tensor, classes: Tensor, kind: Tensor) -> Tensor:
        """Returns crops whose face is nothing but soft colours.

        Args:
            image_signed: See `scores`.
            classes: From `classes`.
            kind: `(batch,)` int, below `kinds`: how coarse, and how enlarged.
        """
        coarse = ops.take(self._coarse, kind, axis=0)
        return face_maps.hidden(image_signed, classes, self._area, coarse, ops)

    def semantic_mask(self, classes: Tensor) -> Tensor:
        """Returns the parts of faces in colours, `(batch, size, size, 3)` in [0, 1].

        Args:
            classes: From `classes`.
        """
        return face_maps.coloured_parts(classes, self._line, self._size, ops)

    def outside(self, classes: Tensor) -> Tensor:
        """Returns where no face is, `(batch, size, size, 1)` in [0, 1].

        Args:
            classes: From `classes`.
        """
        return self._where(classes, OUTSIDE)

    def face(self, classes: Tensor) -> Tensor:
        """Returns where faces are seen, `(batch, size, size, 1)` in [0, 1].

        Args:
            classes: From `classes`.
        """
        return self._where(classes, face_maps.FACE)

    def _where(self, classes: Tensor, wanted: tuple[int, ...]) -> Tensor:
        table = np.isin(np.arange(len(face_classes.NAMES)), wanted).astype(np.float32)
        found = ops.take(table, classes, axis=0)[..., None]
        matrix = face_maps.resizing(self._size, self._side)
        return face_maps.both_ways(matrix, found, ops)


def load(size: int, aligned: Alignment) -> FaceParsing:
    """Returns the packaged parser for the crops of a training.

    Args:
        size: Side of the crops in pixels.
        aligned: How they are aligned.

    Raises:
        InputError: If there is none.
    """
    return FaceParsing(load_network(), size, aligned)

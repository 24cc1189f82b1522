"""What the frozen face parser and detector see of faces: where expression shows."""

from __future__ import annotations

from keras import ops

from facedancer.face import face_classes
from facedancer.networks.tensors import Tensor
from facedancer.train.frozen.face_parsing import FaceParsing
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import View

# Parts whose place and opening are expression: they stay as the target has them.
EXPRESSION = (
    *face_classes.EYES,
    face_classes.INNER_MOUTH,
    face_classes.UPPER_LIP,
    face_classes.LOWER_LIP,
)
PARTS, POINTS = frozenset({"parts"}), frozenset({"points"})


def known_sights(frozen: FrozenNetworks) -> frozenset[str]:
    """Returns what can be seen: of `parts` and `points`.

    Args:
        frozen: With or without parser and detector.
    """
    found = {"parts": frozen.parsing, "points": frozen.points}
    return frozenset(name for name, network in found.items() if network is not None)


def sights(
    frozen: FrozenNetworks, image_signed: Tensor, view: View, wanted: frozenset[str]
) -> dict:
    """Returns what is seen of images; gradients flow through.

    Args:
        frozen: With the networks for what is wanted.
        image_signed: `(batch, size, size, 3)` in [-1, 1].
        view: Which part of them the detector is shown.
        wanted: Names; others than `parts` and `points` count for nothing.

    Returns:
        `parts`, `(batch, height, width, 5)`, the probabilities of those in
        `EXPRESSION`; `points`, see `FacePoints`.
    """
    found = {}
    if "parts" in wanted:
        found["parts"] = expression_parts(
            frozen.needed("parsing", frozen.parsing), image_signed
        )
    if "points" in wanted:
        found["points"] = frozen.needed("points", frozen.points)(image_signed, view)
    return found


def expression_parts(parsing: FaceParsing, image_signed: Tensor) -> Tensor:
    """Returns the probabilities of the parts in `EXPRESSION`.

    Args:
        parsing: The parser.
        image_signed: `(batch, size, size, 3)` in [-1, 1].
    """
    probabilities = ops.softmax(parsing.scores(image_signed))
    return ops.take(probabilities, EXPRESSION, axis=-1)

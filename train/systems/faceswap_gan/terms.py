"""The losses of faceswap-GAN v2.2: each term is the sum of both people's."""

from __future__ import annotations

from collections.abc import Callable

from keras import ops

from facedancer.models.layers.scalar_norm import scalar_normed
from facedancer.networks.tensors import Tensor
from facedancer.train.objective import losses
from facedancer.train.objective.terms import Made, Seen, Sums, Term

SIDES = ("_a", "_b")
# Of four maps, from the largest to the smallest; of another number all count alike.
MAP_WEIGHTS = (0.1, 0.3, 0.1, 0.01)


def mean_of(values: Tensor) -> Tensor:
    """Returns the mean of each example, `(batch,)` float32.

    Args:
        values: `(batch, ...)`.
    """
    return ops.mean(ops.reshape(values, (ops.shape(values)[0], -1)), axis=-1)


def slopes(image: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the differences of neighbours down and across.

    Args:
        image: `(batch, height, width, channels)`.

    Returns:
        `(batch, height - 1, width, channels)`, `(batch, height, width - 1, channels)`.
    """
    return image[:, 1:] - image[:, :-1], image[:, :, 1:] - image[:, :, :-1]


def variation(alpha: Tensor) -> Tensor:
    """Returns the mean absolute slope down plus that across, `(batch,)`.

    Args:
        alpha: `(batch, height, width, 1)`.
    """
    return sum(mean_of(ops.abs(one)) for one in slopes(alpha))


def map_distance(photo: Tensor, made: Tensor) -> Tensor:
    """Returns the mean squared difference of maps, each normalised as a whole.

    Args:
        photo: `(batch, height, width, channels)`.
        made: The same.

    Returns:
        `(batch,)` float32.
    """
    pair = (scalar_normed(ops.cast(one, "float32")) for one in (photo, made))
    return losses.squared_difference(*pair)


def reversed_gradient(x: Tensor) -> Tensor:
    """Returns the same numbers; their gradient is its negative (Ganin et al. 2016).

    What is behind learns to tell people apart, what is before learns to hide them.

    Args:
        x: Any shape.
    """
    return 2.0 * ops.stop_gradient(x) - x


def _of_both(name: str, value: Callable[[Seen, Made, str], Tensor]) -> Callable:
    """Returns a term's sums: the values of both people, added up over the examples."""

    def sums(seen: Seen, made: Made) -> Sums:
        return {name: sum(ops.sum(value(seen, made, side)) for side in SIDES)}

    return sums


def _reconstruction(seen: Seen, made: Made, side: str) -> Tensor:
    photo = seen[f"photo{side}"]
    found = losses.absolute_difference(photo, made[f"raw{side}"])
    for small in made[f"small{side}"]:
        factor = photo.shape[1] // small.shape[1]
        smaller = ops.average_pool(photo, factor, factor, data_format="channels_last")
        found = found + losses.absolute_difference(smaller, small)
    return found


def _eyes(seen: Seen, made: Made, side: str) -> Tensor:
    apart = ops.abs(made[f"raw{side}"] - seen[f"photo{side}"])
    return mean_of(seen[f"eyes{side}"] * apart)


def _edges(seen: Seen, made: Made, side: str) -> Tensor:
    pairs = zip(slopes(seen[f"photo{side}"]), slopes(made[f"raw{side}"]), strict=True)
    return sum(losses.absolute_difference(*pair) for pair in pairs)


def _eye_edges(seen: Seen, made: Made, side: str) -> Tensor:
    eyes = seen[f"eyes{side}"]
    apart = zip(slopes(seen[f"photo{side}"]), slopes(made[f"raw{side}"]), strict=True)
    down, across = (ops.abs(one - other) for one, other in apart)
    return mean_of(eyes[:, 1:] * down) + mean_of(eyes[:, :, 1:] * across)


def _perceptual(seen: Seen, made: Made, side: str) -> Tensor:
    pairs = list(zip(seen[f"maps{side}"], made[f"maps{side}"], strict=True))
    weights: tuple[float, ...] = MAP_WEIGHTS
    if len(pairs) != len(MAP_WEIGHTS):
        weights = (sum(MAP_WEIGHTS) / len(pairs),) * len(pairs)
    found = zip(weights, pairs, strict=True)
    return sum(weight * map_distance(*pair) for weight, pair in found)


def _sparsity(seen: Seen, made: Made, side: str) -> Tensor:
    return mean_of(made[f"alpha{side}"])


def _hinge(seen: Seen, made: Made, side: str) -> Tensor:
    return mean_of(ops.relu(seen["margin"] - made[f"alpha{side}"]))


def _variation(seen: Seen, made: Made, side: str) -> Tensor:
    return variation(made[f"alpha{side}"])


def _cycle(seen: Seen, made: Made, side: str) -> Tensor:
    return losses.absolute_difference(seen[f"photo{side}"], made[f"again{side}"])


def _cycle_alpha(seen: Seen, made: Made, side: str) -> Tensor:
    pair = made[f"other_alpha{side}"], made[f"again_alpha{side}"]
    return losses.absolute_difference(*pair)


def _domain(seen: Seen, made: Made, side: str) -> Tensor:
    """Cross entropy; the critic should say 1 of the first person's codes."""
    sign = -1.0 if side == "_a" else 1.0
    return ops.softplus(sign * made[f"judged{side}"])


def _weight_decay(seen: Seen, made: Made) -> Sums:
    """The same for every example, so that parts of a batch add up to it."""
    return {"weight_decay": made["kernels"] * seen["photo_a"].shape[0]}


CYCLE = frozenset({"cycle"})
TERMS = (
    Term("reconstruction", _of_both("reconstruction", _reconstruction)),
    Term("eyes", _of_both("eyes", _eyes)),
    Term("edges", _of_both("edges", _edges)),
    Term("eye_edges", _of_both("eye_edges", _eye_edges)),
    Term("perceptual", _of_both("perceptual", _perceptual), needs=frozenset({"maps"})),
    Term("alpha_sparsity", _of_both("alpha_sparsity", _sparsity)),
    Term("alpha_hinge", _of_both("alpha_hinge", _hinge)),
    Term("alpha_variation", _of_both("alpha_variation", _variation)),
    Term("cycle", _of_both("cycle", _cycle), needs=CYCLE),
    Term("cycle_alpha", _of_both("cycle_alpha", _cycle_alpha), needs=CYCLE),
    Term("domain", _of_both("domain", _domain), needs=frozenset({"codes"})),
    Term("weight_decay", _weight_decay, needs=frozenset({"kernels"})),
)

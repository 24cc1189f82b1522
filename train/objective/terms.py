"""What is minimised: one `Term` is one loss, from images to a weighted scalar.

A term gives sums over the examples at hand (one replica, one part of an accumulated
batch), which are linear in the examples. The step adds them up over the *global* batch
and only then asks for the term's value: hinges, clips and ratios belong there. This is
why N replicas equal one. All of a new image loss is one line in a system's terms:

    Term("edges", lambda seen, made: {
        "edges": ops.sum(losses.edge_difference(seen["target"], made["swapped"]))})
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from keras import ops

from facedancer.networks.tensors import Tensor
from facedancer.train.objective import losses

# What a system sees of a batch, and what its networks make of it: tensors by name.
Seen = Mapping[str, Any]
Made = Mapping[str, Any]
Sums = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Term:
    """One thing that is minimised.

    Attributes:
        name: Of its weight in the recipe and of its line in the log.
        sums: From what is seen and made to sums over the examples at hand. Terms of one
            system may share a sum; it must then be the same in both.
        value: From the sums over the global batch and its size to a scalar. None: the
            sum of the term's name divided by the batch.
        needs: What must be made for it, such as `vector` or `cycle`. A need that no
            term with a weight has is not computed.
    """

    name: str
    sums: Callable[[Seen, Made], Sums]
    value: Callable[[Sums, int], object] | None = None
    needs: frozenset[str] = frozenset()

    def of(self, sums: Sums, batch: int) -> Tensor:
        """Returns the term's value, a scalar without its weight.

        Args:
            sums: Over the global batch.
            batch: The global batch size.
        """
        if self.value is None:
            return sums[self.name] / batch
        return self.value(sums, batch)


def active(terms: Iterable[Term], weights: Mapping[str, float]) -> tuple[Term, ...]:
    """Returns the terms that have a weight.

    Args:
        terms: Of a system.
        weights: By the terms' names; one that is missing is 0.
    """
    return tuple(term for term in terms if weights.get(term.name, 0.0))


def needs(terms: Iterable[Term]) -> frozenset[str]:
    """Returns all that is needed for some terms."""
    return frozenset().union(*(term.needs for term in terms))


def values(terms: Iterable[Term], sums: Sums, batch: int) -> dict[str, object]:
    """Returns the unweighted values of terms by name.

    Args:
        terms: Those at work.
        sums: Over the global batch.
        batch: The global batch size.
    """
    return {term.name: term.of(sums, batch) for term in terms}


def weighted(weights: Mapping[str, float], found: Mapping[str, Tensor]) -> Tensor:
    """Returns the weighted sum of values, a scalar.

    Args:
        weights: By name.
        found: From `values`.
    """
    return sum(weights[name] * value for name, value in found.items())


def perceptual_sum(
    compared: Tensor,
    reference_features: Sequence[Tensor],
    swapped_features: Sequence[Tensor],
    relative: bool,
    weights: Sequence[float] = (),
) -> Tensor:
    """Returns the summed feature differences of the rows that are compared, a scalar.

    Args:
        compared: `(batch,)` float32, 1 for such a row, else 0.
        reference_features: List of maps of what the faces should look like.
        swapped_features: The same of the swapped faces.
        relative: Divide each map's difference by the mean size of the reference's
            values.
        weights: Of each map; empty: all count alike.
    """
    total = 0.0
    for weight, reference, swapped in zip(
        weights or (1.0,) * len(reference_features),
        reference_features,
        swapped_features,
        strict=True,
    ):
        value = losses.absolute_difference(reference, swapped)
        if relative:
            value = value / (losses.absolute_difference(reference, 0.0) + 1e-6)
        total = total + weight * ops.sum(compared * value)
    return total

"""The sums and values behind FaceDancer's terms; see `FaceDancer`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from keras import ops

from facedancer.networks.tensors import Tensor
from facedancer.train.objective import losses
from facedancer.train.objective.terms import Term


def rows_to_cycle(row: Tensor, every: int, batch: int) -> tuple[slice | Tensor, Tensor]:
    """Returns which examples of a part are swapped back: rows of the global batch.

    Args:
        row: `(count,)` int32, where the part's examples stand in the global batch: one
            after the other.
        every: Every n-th row of the global batch, from the first.
        batch: The global batch size.

    Returns:
        A slice, or `(rows,)` int32 where the part need not begin at such a row; and
        `(rows,)` float32, 1 for a row and 0 for one that is left over.
    """
    count = row.shape[0]
    num_rows = -(-count // every)
    if count == batch or count % every == 0:
        return slice(None, None, every), ops.ones(num_rows)
    rows = -row[0] % every + every * ops.arange(num_rows, dtype="int32")
    return ops.minimum(rows, count - 1), ops.cast(rows < count, "float32")


def cosines(seen: Mapping[str, Any], made: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Returns the cosines of the target to swapped face and to source, `(batch,)`.

    Args:
        seen: From `see`.
        made: From `make`.
    """
    target = seen["target_vector"]
    return tuple(
        losses.cosine_similarity(target, other)
        for other in (made["vector"], seen["source_vector"])
    )


def identity(margin: float, seen: Mapping[str, Any], made: Mapping[str, Any]) -> dict:
    """Returns how far the swapped faces are from the sources' people, summed.

    Args:
        margin: The cosine that is enough.
        seen: From `see`.
        made: From `make`.
    """
    values = losses.identity_loss(seen["person_vector"], made["vector"], margin)
    return {"identity": ops.sum(values)}


def second_identity(
    margin: float, seen: Mapping[str, Any], made: Mapping[str, Any]
) -> dict:
    """Returns the same of the second encoder.

    Args:
        margin: The cosine that is enough.
        seen: From `see`.
        made: From `make`.
    """
    source, swapped = made["second"]
    values = losses.identity_loss(source, swapped, margin)
    return {"second_identity": ops.sum(values)}


def contrast(seen: Mapping[str, Any], made: Mapping[str, Any]) -> dict:
    """Returns how much of the targets' identity is left, summed.

    Args:
        seen: From `see`.
        made: From `make`.
    """
    return {"contrast": ops.sum(losses.identity_contrast(*cosines(seen, made)))}


def image_sum(
    name: str,
    loss: Callable[[Tensor, Tensor], Tensor],
    seen: Mapping[str, Any],
    made: Mapping[str, Any],
) -> dict:
    """Returns the sum of an image loss against what the faces should look like.

    Args:
        name: Of the term.
        loss: From two images to one value per example.
        seen: From `see`.
        made: From `make`.
    """
    return {name: ops.sum(loss(seen["reference"], made["swapped"]))}


def parts(seen: Mapping[str, Any], made: Mapping[str, Any]) -> dict:
    """Returns how much eyes and mouths look otherwise than they should, summed.

    Args:
        seen: From `see`.
        made: From `make`.
    """
    return {"parts": ops.sum(losses.parts_loss(seen["parts"], made["parts"]))}


def landmarks(seen: Mapping[str, Any], made: Mapping[str, Any]) -> dict:
    """Returns how far landmarks are from where they should be, summed.

    Args:
        seen: From `see`.
        made: From `make`.
    """
    (before, weights), (after, _) = seen["points"], made["points"]
    return {"landmarks": ops.sum(losses.landmark_loss(before, after, weights))}


def marked(name: str, mark: str, wanted: str, mean: Callable | None = None) -> Term:
    """Returns the term of an image difference over the rows that have a mark.

    Args:
        name: Of the term.
        mark: What of `see` is 1 for such a row, else 0.
        wanted: What of `see` the swapped face should look like.
        mean: From sum and count to the value; None: `losses.same_pair_mean`.
    """

    def sums(seen: Mapping[str, Any], made: Mapping[str, Any]) -> dict:
        values = losses.absolute_difference(seen[wanted], made["swapped"])
        return {mark: ops.sum(seen[mark]), name: ops.sum(seen[mark] * values)}

    return Term(name, sums, functools.partial(marked_mean, name, mark, mean=mean))


def marked_mean(
    name: str,
    mark: str,
    sums: Mapping[str, Any],
    batch: int,
    mean: Callable | None = None,
) -> Tensor:
    """Returns a mean over the rows that have a mark.

    Args:
        name: Of the sum.
        mark: Of their number.
        sums: Over the global batch.
        batch: The global batch size.
        mean: See `marked`.
    """
    return (mean or losses.same_pair_mean)(sums[name], sums[mark])


def cycle(seen: Mapping[str, Any], made: Mapping[str, Any]) -> dict:
    """Returns the differences after swapping back, and of how many rows.

    Args:
        seen: From `see`.
        made: From `make`.
    """
    values = losses.absolute_difference(made["back_of"], made["back"])
    weights = made["back_weight"]
    return {"cycle": ops.sum(weights * values), "cycled": ops.sum(weights)}


def cycle_value(sums: Mapping[str, Any], batch: int) -> Tensor:
    """Returns the mean difference of the rows that were swapped back.

    Args:
        sums: Over the global batch.
        batch: The global batch size.
    """
    return sums["cycle"] / sums["cycled"]

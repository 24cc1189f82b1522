"""From one batch of images to the numbers that are minimised.

`measure` gives sums over the examples at hand (one replica, one part of an accumulated
batch). `combine` turns sums over the *global* batch into the terms of the objective.
Between the two lies an all-reduce, and nothing else that knows of devices.
"""

from __future__ import annotations

import dataclasses

from keras import ops

from facedancer.train.objective import ifsr, losses
from facedancer.train.objective.recipes import Objective


@dataclasses.dataclass(frozen=True)
class Seen:
    """What one step knows of a batch, besides the generator's output.

    Attributes:
        target: `(batch, height, width, 3)` float32 in [-1, 1].
        same: `(batch,)` float32, 1 where the source shows the target's person.
        source_vector: `(batch, d)` identity of the sources.
        target_vector: `(batch, d)` identity of the targets, seen by the look.
        target_maps: List of the targets' maps, seen by the look.
        look: The look at target and swapped.
        shrink: The `shrink` of the images' alignment.
    """

    target: object
    same: object
    source_vector: object
    target_vector: object
    target_maps: object
    look: object
    shrink: float = 1.0


def image_sums(objective: Objective, seen: Seen, swapped, warm_up: bool) -> dict:
    """Sums of the terms that need no network.

    Args:
        objective: The recipe.
        seen: The batch.
        swapped: `(batch, height, width, 3)` float32.
        warm_up: Only reconstruct.
    """
    sums = {
        "same": ops.sum(seen.same),
        "reconstruction": ops.sum(
            seen.same * losses.absolute_difference(seen.target, swapped)
        ),
    }
    if objective.low_frequency:
        values = losses.low_frequency_loss(seen.target, swapped)
        sums["low_frequency"] = ops.sum(values)
    if objective.chroma and not warm_up:
        sums["chroma"] = ops.sum(losses.chroma_loss(seen.target, swapped))
    if objective.outside and not warm_up:
        values = losses.outside_loss(seen.target, swapped, seen.shrink)
        sums["outside"] = ops.sum(values)
    return sums


def teacher_sums(objective: Objective, seen: Seen, maps, vector, margins) -> dict:
    """Sums of the terms of the identity encoder, and two that are only watched.

    Args:
        objective: The recipe.
        seen: The batch.
        maps: Maps of the swapped faces.
        vector: `(batch, d)` identity of the swapped faces.
        margins: `(taps,)` IFSR margins.
    """
    identity = losses.identity_loss(seen.source_vector, vector)
    other = 1.0 - seen.same
    to_target = losses.cosine_similarity(seen.target_vector, vector)
    apart = losses.cosine_similarity(seen.target_vector, seen.source_vector)
    sums = {
        "identity": ops.sum(identity),
        "cosine_to_source": ops.sum(other * (1.0 - identity)),
        "cosine_to_target": ops.sum(other * to_target),
        "cosine_apart": ops.sum(other * apart),
    }
    if objective.contrast:
        sums["contrast"] = ops.sum(losses.identity_contrast(to_target, apart))
    if objective.ifsr and maps:
        distances = ifsr.distances(seen.target_maps, maps)
        if objective.ifsr_per_sample:
            values = ifsr.hinge(distances, margins, objective.ifsr_scale)
            sums["ifsr"] = ops.sum(values)
        else:
            sums["ifsr_distances"] = ops.sum(distances, axis=0)
    return sums


def perceptual_sum(seen: Seen, target_features, swapped_features, relative: bool):
    """The summed feature differences of same pairs.

    Args:
        seen: The batch.
        target_features: List of maps of the targets.
        swapped_features: The same of the swapped faces.
        relative: Divide each map's difference by the mean size of the target's values.
    """
    total = 0.0
    for target, swapped in zip(target_features, swapped_features, strict=True):
        value = losses.absolute_difference(target, swapped)
        if relative:
            value = value / (losses.absolute_difference(target, 0.0) + 1e-6)
        total = total + ops.sum(seen.same * value)
    return total


def rows_to_cycle(row, every: int, batch: int):
    """Which examples of a part are swapped back: rows of the global batch.

    Args:
        row: `(count,)` int32, where the part's examples stand in the global batch: one
            after the other.
        every: Every so-manieth row of the global batch, from the first.
        batch: The global batch size.

    Returns:
        A slice, or `(places,)` int32 where the part need not begin at such a row; and
        `(places,)` float32, 1 for a row and 0 for a place that is left over.
    """
    count = row.shape[0]
    places = -(-count // every)
    if count == batch or count % every == 0:
        return slice(None, None, every), ops.ones(places)
    rows = -row[0] % every + every * ops.arange(places, dtype="int32")
    return ops.minimum(rows, count - 1), ops.cast(rows < count, "float32")


def combine(
    objective: Objective, sums: dict, batch: int, margins, warm_up: bool
) -> dict:
    """The terms of the generator's loss, unweighted, from sums over the global batch.

    Args:
        objective: The recipe.
        sums: From the functions above, summed over all examples.
        batch: The global batch size.
        margins: `(taps,)` IFSR margins.
        warm_up: Whether all pairs are same pairs.

    Returns:
        Scalars by the name of the objective's weight.
    """
    terms = {
        name: sums[name] / batch
        for name in (
            "identity",
            "second_identity",
            "contrast",
            "low_frequency",
            "chroma",
            "outside",
            "ifsr",
        )
        if name in sums
    }
    terms["reconstruction"] = losses.published_reconstruction(
        sums["reconstruction"], sums["same"]
    )
    if "perceptual" in sums:
        terms["perceptual"] = losses.same_pair_mean(sums["perceptual"], sums["same"])
    if "cycle" in sums:
        terms["cycle"] = sums["cycle"] / sums["cycled"]
    if "ifsr_distances" in sums:
        means = sums["ifsr_distances"] / batch
        terms["ifsr"] = ifsr.hinge(means, margins, objective.ifsr_scale)
    return terms


def weighted(objective: Objective, terms: dict):
    """The generator's loss without its adversarial part.

    Args:
        objective: The recipe.
        terms: From `combine`.
    """
    return sum(getattr(objective, name) * value for name, value in terms.items())


def watched(sums: dict) -> dict:
    """Values that are reported but not minimised.

    Args:
        sums: Over the global batch.
    """
    if "cosine_to_source" not in sums:
        return {}
    others = ops.maximum(sums["examples"] - sums["same"], 1.0)
    names = ("cosine_to_source", "cosine_to_target", "cosine_apart")
    return {name: sums[name] / others for name in names}

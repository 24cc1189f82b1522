"""The making of a refiner's file that runs without Keras."""

from __future__ import annotations

import dataclasses
import os
import typing

if typing.TYPE_CHECKING:
    from facedancer.models.families.face_refiner.network import FaceRefinerNetwork


def save(network: FaceRefinerNetwork, path: str | os.PathLike, facts: dict) -> None:
    """Writes the portable file of a refiner.

    Args:
        network: The refiner.
        path: The file.
        facts: Where it comes from: `licence`, `source` and the like.
    """
    import keras

    from facedancer.inference import portable_writing

    described = {
        "kind": "refiner",
        "name": network.name,
        "image": dataclasses.asdict(network.config.image),
    }
    portable_writing.save(
        keras.Model(network.inputs, {"refined": network.outputs[0]}),
        path,
        network.example_inputs(batch=1),
        facts | described,
    )

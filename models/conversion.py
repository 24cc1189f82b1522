"""Converts networks between published files and those of this project."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

from facedancer.errors import InputError
from facedancer.models import saving
from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.published import reading
from facedancer.networks.network import Network
from facedancer.storage import writing


def convert(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    kind: str = "auto",
    layout: str = "native",
    encoder: str | None = None,
    extrapolation: float | None = None,
    seed: int = 0,
    half: bool = False,
    average_with: str | os.PathLike = "",
    average_share: float = 0.5,
) -> tuple[Network, float]:
    """Converts one file and reports what was done.

    Args:
        source: What is read, see `reading.load_generator`.
        destination: A `.keras` or `.h5` file.
        kind: One of `choices.KINDS`.
        layout: See `saving.save`.
        encoder: Name of the identity encoder to note; `None` keeps what the file says.
        extrapolation: To note, see `IdentityInput`; `None` keeps what the file says.
        seed: Of the test input.
        half: Round the weights to 16 bits and compress the file, a `.keras`.
        average_with: A network of the same structure, whose weights are mixed in:
            between two states of one training lie networks that have some of both
            (Wortsman et al. 2022, https://arxiv.org/abs/2203.05482). Empty: none.
        average_share: How much of the mean is that one's, 0 to 1.

    Returns:
        The written model, read again, and the largest output difference.

    Raises:
        InputError: If the source does not fit, the destination is the source or of a
            kind that cannot be compressed, or the networks to mix are of two kinds.
    """
    source, destination = pathlib.Path(source), pathlib.Path(destination)
    saving.check(destination, layout)
    if half and destination.suffix != ".keras":
        raise InputError(f"--half is for .keras files. Received: {destination}")
    if destination.exists() and source.exists() and destination.samefile(source):
        raise InputError(f"{destination}: is also the file to be read")
    model = reading.load(source, kind, form="plain")
    if average_with:
        other = reading.load(average_with, kind, form="plain")
        _average(model, other, average_share, f"{source} and {average_with}")
    noted = {"encoder": encoder, "extrapolation": extrapolation}
    noted = {name: value for name, value in noted.items() if value is not None}
    model = _with_notes(model, noted) if noted else model
    inputs = model.example_inputs(seed=seed)
    before = model.named(inputs)
    if half:
        writing.round_to_half(model)
    saving.save(model, destination, layout)
    if half:
        writing.compress(destination)
    again = reading.load(destination, kind)
    return again, saving.difference(before, again.named(inputs))


def _average(
    model: BuiltNetwork, other: BuiltNetwork, share: float, names: str
) -> None:
    """Moves a network's weights towards another's."""
    shapes = [[tuple(v.shape) for v in one.variables] for one in (model, other)]
    if type(model) is not type(other) or shapes[0] != shapes[1]:
        raise InputError(
            f"--average_with is for two networks of one structure. Received: {names}"
        )
    for variable, theirs in zip(model.variables, other.variables, strict=True):
        variable.assign((1.0 - share) * variable + share * theirs)


def _with_notes(model: BuiltNetwork, noted: dict[str, Any]) -> BuiltNetwork:
    for name in noted:
        if not hasattr(model.config, name):
            raise InputError(
                f"--{name} is for generators that have one, found a {model.role}"
            )
    return model.variant(config=dataclasses.replace(model.config, **noted))

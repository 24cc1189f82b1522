"""Flags that override the numbers of a recipe, whichever system it belongs to.

A flag whose field is made by `overrides` names the number it stands for, and has that
number's limits; `--weights` and `--options` reach every number of every system.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from facedancer.flags.settings import did_you_mean, rule_of, setting
from facedancer.train.objective.recipes import Recipe

_OVERRIDES = "overrides"  # key of a field's metadata: the number it stands for


def overrides(name: str, record: type | None = None, **rule: Any) -> Any:
    """Returns a field whose flag overrides one number of the recipe; empty: none.

    Args:
        name: Of a weight, or of a field of `record`.
        record: The record whose field it is, with its choices and limits; None: it is
            a weight, which must not be negative.
        **rule: Further fields of `settings.Rule`.
    """
    limits: dict[str, Any] = {"low": 0.0}
    if record is not None:
        known = next(f for f in dataclasses.fields(record) if f.name == name)
        limits = dict(vars(rule_of(known)))
    made = setting(None, **limits | rule)
    return dataclasses.field(default=None, metadata={**made.metadata, _OVERRIDES: name})


def changes_of(record: Any) -> Iterator[tuple[str, str, Any]]:
    """Yields flag, number of the recipe and value of all that was given.

    Args:
        record: Settings, in groups; only fields made by `overrides` count.
    """
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if dataclasses.is_dataclass(value):
            yield from changes_of(value)
        elif _OVERRIDES in field.metadata and value is not None:
            yield field.name, field.metadata[_OVERRIDES], value


def named_values(flag: str, words: tuple[str, ...]) -> dict[str, Any]:
    """Returns the values of words such as `edges=3` by name.

    Args:
        flag: Where they were given, for messages.
        words: A value is a JSON value where it can be read as one, else text.

    Raises:
        ValueError: If there is no equals sign.
    """
    found = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise ValueError(f"--{flag} must be NAME=VALUE. Received: {word}")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        found[name] = tuple(value) if isinstance(value, list) else value
    return found


def given_numbers(recipe: Recipe, settings: Any, owner: str) -> dict[str, Any]:
    """Returns the numbers of a recipe that were given, by name.

    Args:
        recipe: A system's.
        settings: Settings, in groups.
        owner: The system, for messages.

    Raises:
        ValueError: If the recipe has no such number.
    """
    known = recipe.numbers()
    given = {}
    for flag, name, value in changes_of(settings):
        if name not in known:
            raise ValueError(f"--{flag} has no meaning for --system={owner}")
        given[name] = value
    for flag, names in (
        ("weights", set(recipe.weights)),
        ("options", known - set(recipe.weights)),
    ):
        words = getattr(settings.system, flag)
        for name, value in named_values(flag, words).items():
            if name not in names:
                raise ValueError(
                    f"--{flag}: --system={owner} has {', '.join(sorted(names))}. "
                    f"Received: {name}{did_you_mean(name, names)}"
                )
            given[name] = value
    return given

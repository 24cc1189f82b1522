"""Frozen records that decide a network's structure, as files and flags hold them."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self


class StructureRecord:
    """What the structures of all families share: from and to plain dicts.

    A subclass is a frozen dataclass that checks its fields when it is made.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field]]  # a subclass has them

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as a dict that JSON can hold."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Returns the record of a `to_dict`; a missing key has its default.

        Args:
            values: Fields by name.

        Raises:
            ValueError: If a key is unknown or a value is refused.
        """
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(
                f"`{cls.__name__}` has no field of this name. Received: "
                f"{sorted(unknown)}"
            )
        return cls(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        )

"""Fields of settings: what each may be is said once, for checks, messages and flags.

    @dataclasses.dataclass(frozen=True)
    class Settings(Checked):
        '''What is done.

        Attributes:
            path: The photo.
            steps: Number of steps.
            jitter: Change of colours.
        '''

        path: str = setting(essential=True)
        steps: int = ranged(1000, low=1)
        jitter: str = choice("none", ("none", "legacy"))

Such a record is checked when it is made, and `facedancer.cli` makes the flags of a
program from it. A field may be a record itself: its flags stand under one heading.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from facedancer.errors import InputError

_RULE = "facedancer"


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a field may be, and what its flag looks like.

    Attributes:
        choices: The words it may be; empty: any.
        low: Smallest number.
        high: Largest number.
        above: Numbers must be larger than this.
        below: Numbers must be smaller than this.
        ending: What a file name must end in.
        essential: Whether `--help` puts the flag among the first.
        aliases: Earlier names of the flag, still accepted.
        flag: Name of the flag; empty: that of the field.
        repeated: Whether several values are several flags, not words between commas.
        word: Not empty: the value may also stand on the command line without a flag;
            what `--help` calls it there.
    """

    choices: Collection[str] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    ending: str = ""
    essential: bool = False
    aliases: tuple[str, ...] = ()
    flag: str = ""
    repeated: bool = False
    word: str = ""

    @property
    def limits(self) -> str:
        """What a number must do, as in "must lie in [0, 1)"; empty: it is free."""
        low, high, above, below = self.low, self.high, self.above, self.below
        has_bottom = low is not None or above is not None
        if has_bottom and (high is not None or below is not None):
            bottom = f"({above:g}" if low is None else f"[{low:g}"
            top = f"{below:g})" if high is None else f"{high:g}]"
            return f"lie in {bottom}, {top}"
        if above is not None:
            return f"be greater than {above:g}"
        if low is not None:
            return f"be at least {low:g}"
        if high is not None:
            return f"be at most {high:g}"
        return "" if below is None else f"be less than {below:g}"

    def broken_by(self, value: Any) -> str:
        """Returns what `value` should have been, as in "must be at least 1".

        Args:
            value: One word or number.

        Returns:
            Empty if the value is allowed.
        """
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(filter(None, self.choices))}"
        if self.ending and not str(value).endswith(self.ending):
            return f"must end in {self.ending}"
        return "" if self._in_range(value) else f"must {self.limits}"

    def _in_range(self, value: Any) -> bool:
        if not self.limits:
            return True
        return (  # false for a NaN wherever there is a limit
            (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or value <= self.high)
            and (self.below is None or value < self.below)
        )


def setting(default: Any = dataclasses.MISSING, **rule: Any) -> Any:
    """Returns a field for text, a truth value or anything without limits.

    Args:
        default: Its default; left out: the field must be given.
        **rule: Fields of `Rule`.
    """
    return dataclasses.field(default=default, metadata={_RULE: Rule(**rule)})


def choice(
    default: Any = dataclasses.MISSING, choices: Iterable[str] = (), **rule: Any
) -> Any:
    """Returns a field for one of some words, or a tuple of them.

    Args:
        default: Its default; left out: the field must be given.
        choices: The words; an empty one is not listed. A mapping stays one: what is
            added to it later counts.
        **rule: Further fields of `Rule`.
    """
    words = choices if isinstance(choices, Mapping) else tuple(choices)
    return setting(default, choices=words, **rule)


def ranged(
    default: Any = dataclasses.MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    **rule: Any,
) -> Any:
    """Returns a field for a number, or a tuple of them, with limits.

    Args:
        default: Its default; left out: the field must be given.
        low: The smallest it may be.
        high: The largest it may be.
        above: It must be larger than this.
        below: It must be smaller than this.
        **rule: Further fields of `Rule`.
    """
    return setting(default, low=low, high=high, above=above, below=below, **rule)


def repeated(**rule: Any) -> Any:
    """Returns a field for a tuple of texts whose flag is given once for each.

    Args:
        **rule: Further fields of `Rule`.
    """
    return setting((), repeated=True, **rule)


def positional(word: str, default: Any = dataclasses.MISSING, **rule: Any) -> Any:
    """Returns a field for a word of the command line that needs no flag.

    Args:
        word: What `--help` calls it, such as `"IN.h5"`.
        default: Its default; left out: the field must be given.
        **rule: Further fields of `Rule`.
    """
    return setting(default, word=word, essential=True, **rule)


class Checked:
    """Base of records whose fields have rules: they are checked when one is made."""

    def __post_init__(self) -> None:
        check(self)


def check(record: Any) -> None:
    """Refuses a record with a value that the rule of its field does not allow.

    Args:
        record: A dataclass. Fields that are None are not checked.

    Raises:
        ValueError: If a value is not allowed; the text names the field.
    """
    for field in dataclasses.fields(record):
        rule, value = rule_of(field), getattr(record, field.name)
        values = value if isinstance(value, tuple) else (value,)
        for one in values:
            broken = rule.broken_by(one) if one is not None else ""
            if broken:
                hint = did_you_mean(str(one), rule.choices)
                raise ValueError(f"`{field.name}` {broken}. Received: {one}{hint}")


def did_you_mean(word: str, known: Iterable[str], mark: str = "") -> str:
    """Returns `". Did you mean ...?"` with the known word that is most alike.

    Args:
        word: What was given.
        known: What is known.
        mark: Stands before the word, such as `"--"`.

    Returns:
        Empty if nothing is alike.
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f". Did you mean {mark}{close[0]}?" if close else ""


def rule_of(field: dataclasses.Field) -> Rule:
    """Returns the rule of a field; one without any limits where it has none."""
    return field.metadata.get(_RULE, Rule())


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One setting of a record or of the records in it.

    Attributes:
        path: Names of the fields that lead to it, its own last.
        kind: `str`, `int`, `float` or `bool`.
        many: Whether it is a tuple of these.
        default: What it is if it is not given; `dataclasses.MISSING`: it must be given.
        rule: What it may be.
        help: Its text in the record's docstring.
        heading: Text of the record it stands in; empty in the outermost one.
    """

    path: tuple[str, ...]
    kind: type
    many: bool
    default: Any
    rule: Rule
    help: str
    heading: str

    @property
    def name(self) -> str:
        """Name of the flag."""
        return self.rule.flag or self.path[-1]


def leaves(
    record: Any, path: tuple[str, ...] = (), heading: str = "", base: Any = None
) -> Iterator[Leaf]:
    """Yields the settings of a record, those of the records in it included.

    Args:
        record: A dataclass whose docstring has a Google style `Attributes:` section. A
            long one may have a class variable `HEADINGS`: name of a field -> heading
            that `--help` puts over this field and those after it.
        path: Fields that lead to it.
        heading: What `Leaf.heading` is for its own fields.
        base: A record of that kind whose values are the defaults.
    """
    texts = attribute_texts(record)
    hints = typing.get_type_hints(record)
    headings = getattr(record, "HEADINGS", {})
    for field in dataclasses.fields(record):
        hint, here = hints[field.name], (*path, field.name)
        heading = headings.get(field.name, heading)
        default = field.default if base is None else getattr(base, field.name)
        if dataclasses.is_dataclass(hint):
            inner = None if default is dataclasses.MISSING else default
            yield from leaves(hint, here, texts[field.name].rstrip("."), inner)
            continue
        kind, many = _kind_of(hint, record, field.name)
        yield Leaf(
            here, kind, many, default, rule_of(field), texts[field.name], heading
        )


def _kind_of(hint: Any, record: type, name: str) -> tuple[type, bool]:
    """Returns the type of one value of a field, and whether it holds several."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        options = [one for one in typing.get_args(hint) if one is not types.NoneType]
        hint = options[0] if len(options) == 1 else hint
    many = typing.get_origin(hint) is tuple
    kind = typing.get_args(hint)[0] if many else hint
    if kind not in (str, int, float, bool):
        raise TypeError(f"`{record.__name__}.{name}` cannot be a flag: {hint}")
    return kind, many


def attribute_texts(record: type) -> dict[str, str]:
    """Returns the text of each field in the `Attributes:` section of a docstring.

    Args:
        record: A dataclass; the sections of its bases count too.
    """
    texts: dict[str, str] = {}
    for one in reversed(record.__mro__):
        _, _, section = inspect.cleandoc(one.__doc__ or "").partition("Attributes:\n")
        section = re.split(r"\n(?=\S)", section)[0]  # up to the next section
        found = re.findall(r"^    (\w+): (.*(?:\n(?:     .*|\s*$))*)", section, re.M)
        texts |= {name: re.sub(r"\s+", " ", words).strip() for name, words in found}
    return texts


def flat(record: Any) -> dict[str, Any]:
    """Returns the values of a record, and of the records in it, by flag.

    Args:
        record: A dataclass, or what `dataclasses.asdict` made of one.
    """
    if isinstance(record, dict):
        pairs: Iterable[tuple[str, Any]] = record.items()
    else:
        fields = dataclasses.fields(record)
        pairs = [(rule_of(f).flag or f.name, getattr(record, f.name)) for f in fields]
    found: dict[str, Any] = {}
    for name, value in pairs:
        nested = isinstance(value, dict) or dataclasses.is_dataclass(value)
        found |= flat(value) if nested else {name: value}
    return found


def from_flat(record: type, values: dict[str, Any]) -> Any:
    """Returns the record with values given by flag, wherever in it they stand.

    Args:
        record: A dataclass.
        values: By flag; what is left out keeps its default.

    Raises:
        ValueError: If a name is unknown, or the record refuses a value.
    """
    known = {leaf.name: leaf.path for leaf in leaves(record)}
    tree: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"Unknown setting {name}{did_you_mean(name, known)}")
        branch = tree
        for step in known[name][:-1]:
            branch = branch.setdefault(step, {})
        branch[known[name][-1]] = value
    return _built(record, tree)


def _built(record: type, tree: dict[str, Any], base: Any = None) -> Any:
    hints = typing.get_type_hints(record)
    for field in dataclasses.fields(record):
        default = field.default if base is None else getattr(base, field.name)
        inner = None if default is dataclasses.MISSING else default
        if dataclasses.is_dataclass(hints[field.name]):
            values = tree.get(field.name, {})
            tree[field.name] = _built(hints[field.name], values, inner)
    return record(**tree) if base is None else dataclasses.replace(base, **tree)


def from_names(
    kinds: Sequence[type[Any]],
    given: Mapping[str, Any],
    known: Iterable[str] = (),
) -> list[Any]:
    """Returns records of several kinds with values given by name, as Python gives them.

    Args:
        kinds: Dataclasses that share no name of a field.
        given: By field; what is left out keeps its default.
        known: Further names that a mistyped one may have meant.

    Raises:
        TypeError: If no record has a field of that name.
        InputError: If a record refuses a value.
    """
    homes = {field.name: kind for kind in kinds for field in dataclasses.fields(kind)}
    for name in given:
        if name not in homes:
            hint = did_you_mean(name, [*homes, *known])
            raise TypeError(f"There is no setting {name!r}{hint or '.'}")
    try:
        return [
            kind(**{name: given[name] for name in given if homes[name] is kind})
            for kind in kinds
        ]
    except ValueError as error:
        raise InputError(str(error)) from None

"""Tests of `facedancer.cli`: flags, booleans, exit statuses."""

from __future__ import annotations

import dataclasses
import json
import textwrap

from absl import flags
from absl.testing import parameterized

from facedancer import cli
from facedancer.errors import InputError
from facedancer.flags import command_line, usage
from facedancer.flags.settings import (
    Checked,
    choice,
    positional,
    ranged,
    repeated,
    setting,
)
from tests import testing


@dataclasses.dataclass(frozen=True)
class Pace(Checked):
    """How fast it goes.

    Attributes:
        rate: Learning rate.
        schedule: How it falls.
    """

    rate: float | None = ranged(None, above=0.0, aliases=("lr",))
    schedule: str = choice("cosine", ("cosine", "constant"))


@dataclasses.dataclass(frozen=True)
class Settings(Checked):
    """Settings of a program.

    Attributes:
        name: Needed, and its text goes
            over two lines.
        count: A number.
        shuffle: A boolean.
        kinds: Some words.
        rates: Some numbers.
        path: May be left out.
        never: Photos that are left out.
        pace: The pace.

    Raises:
        ValueError: If a value is not allowed.
    """

    name: str = setting(essential=True)
    count: int = ranged(3, low=0, high=9)
    shuffle: bool = True
    kinds: tuple[str, ...] = ("a", "b")
    rates: tuple[float, ...] = ranged((), low=0.0, below=2.0)
    path: str | None = None
    never: tuple[str, ...] = repeated(flag="except")
    pace: Pace = Pace()

    def __post_init__(self):
        super().__post_init__()
        if self.kinds == ("x",) and self.path:
            raise ValueError("`never` and `path` do not go with `kinds` x")


@dataclasses.dataclass(frozen=True)
class Files:
    """Two files.

    Attributes:
        source: What is read.
        target: What is written.
        half: Half the size.
    """

    source: str = positional("IN")
    target: str = positional("OUT", ending=".keras")
    half: bool = False


class FlagsTest(testing.TestCase):
    def parse(self, *words):
        return cli.parse(Settings, list(words))

    def test_defaults(self):
        self.assertEqual(self.parse("--name=x"), Settings("x"))

    def test_values(self):
        given = self.parse(
            "--name", "x", "--count=4", "--kinds=c,d,e", "--rates=1,.5", "--path=p"
        )
        expected = Settings("x", 4, kinds=("c", "d", "e"), rates=(1.0, 0.5), path="p")
        self.assertEqual(given, expected)

    @parameterized.parameters(
        (["--shuffle"], True),
        (["--noshuffle"], False),
        (["--shuffle=False"], False),
        (["--shuffle", "False"], False),
        (["--shuffle", "true"], True),
        (["--shuffle", "0"], False),
        (["--shuffle", "False", "--count", "1"], False),
    )
    def test_booleans(self, words, expected):
        self.assertEqual(self.parse("--name=x", *words).shuffle, expected)

    def test_number_after_another_flag_is_its_value(self):
        self.assertEqual(self.parse("--name=x", "--count", "1").count, 1)

    def test_nested_and_repeated(self):
        words = ["--rate=0.5", "--schedule", "constant", "--except=b.jpg,c.jpg"]
        given = self.parse("--name=x", *words, "--except", "d.jpg")
        self.assertEqual(given.pace, Pace(0.5, "constant"))
        self.assertEqual(given.never, ("b.jpg,c.jpg", "d.jpg"))

    def test_earlier_name(self):
        self.assertEqual(self.parse("--name=x", "--lr=0.25").pace.rate, 0.25)

    @parameterized.parameters(
        ("--count=-1", r"^--count must lie in \[0, 9\]. Received: -1$"),
        ("--count=10", r"^--count must lie in \[0, 9\]. Received: 10$"),
        ("--count=2.5", "^--count must be a whole number. Received: 2.5$"),
        ("--shuffle=perhaps", "^--shuffle must be true or false. Received: perhaps$"),
        ("--rates=a", "--rates must be numbers with commas between. Received: a"),
        ("--rates=1,2", r"^--rates must lie in \[0, 2\). Received: 2.0$"),
        ("--rates=nan", r"^--rates must lie in \[0, 2\). Received: nan$"),
        ("--rate=0", "^--rate must be greater than 0. Received: 0.0$"),
        ("--rate=x", "^--rate must be a number. Received: x$"),
        (
            "--schedule=cosin",
            "^--schedule must be one of cosine, constant. Received: cosin. Did you "
            r"mean cosine\?$",
        ),
        ("--scedule=x", r"^Unknown flag --scedule. Did you mean --schedule\? --help"),
        ("--noshufle", r"^Unknown flag --noshufle. Did you mean --shuffle\? --help"),
        ("--zzzzzz", "^Unknown flag --zzzzzz. --help lists all flags$"),
        ("something", "^Unexpected arguments: something$"),
    )
    def test_refuses(self, word, text):
        with self.assertRaisesRegex(InputError, text):
            self.parse("--name=x", word)

    def test_message_of_a_record_names_the_flags(self):
        text = "^--except and --path do not go with --kinds x$"
        with self.assertRaisesRegex(InputError, text):
            self.parse("--name=x", "--kinds=x", "--path=y")

    def test_needed(self):
        text = "^--name must be given: Needed, and its text goes over two lines.$"
        with self.assertRaisesRegex(InputError, text):
            self.parse("--count=1")

    def test_help_texts(self):
        values = flags.FlagValues()
        command_line.define_from(Settings, values)
        self.assertEqual(
            values["name"].help, "Needed, and its text goes over two lines."
        )
        self.assertEqual(values["path"].help, "May be left out.")

    @parameterized.parameters(
        (["a", "b.keras"],),
        (["--target=b.keras", "a"],),
        (["a", "--target", "b.keras"],),
        (["--source=a", "--target=b.keras"],),
    )
    def test_arguments_without_a_flag(self, words):
        expected = Files("a", "b.keras")
        self.assertEqual(cli.parse(Files, words), expected)
        whole = dataclasses.replace(expected, half=True)
        self.assertEqual(cli.parse(Files, ["--half", *words]), whole)

    @parameterized.parameters(
        (["a", "b", "c"], "^Unexpected arguments: c$"),
        (["--source=a", "b", "c"], "^Unexpected arguments: c$"),
        (["a"], "^Expected the arguments IN OUT. Received: a$"),
        ([], "^Expected the arguments IN OUT. Received: none$"),
    )
    def test_wrong_arguments(self, words, text):
        with self.assertRaisesRegex(InputError, text):
            cli.parse(Files, words)


class ConfigTest(testing.TestCase):
    def parse(self, config, *words):
        path = self.tempdir() / "config.json"
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        return cli.parse(Settings, [f"--config={path}", *words])

    def test_a_record_comes_back(self):
        pace = Pace(1e-4, "constant")
        whole = Settings("x", 4, False, ("a,b", 'c"'), (0.5,), "p", ("d", "e,f"), pace)
        config = dataclasses.asdict(whole)
        config["except"] = config.pop("never")
        self.assertEqual(self.parse(config), whole)

    def test_flags_go_before_it(self):
        config = {"name": "x", "count": 4, "except": ["a"], "lr": 0.5, "path": None}
        found = self.parse(config, "--count=5", "--except=b", "--rate=0.25")
        expected = Settings("x", 5, never=("b",), pace=Pace(0.25))
        self.assertEqual(found, expected)

    def test_in_two_words(self):
        path = self.tempdir() / "config.json"
        path.write_text('{"name": "x"}')
        found = cli.parse(Settings, ["--count=1", "--config", str(path)])
        self.assertEqual(found, Settings("x", 1))

    @parameterized.parameters(
        ("[1]", "must hold a JSON object of settings"),
        ("{", "cannot be read"),
        ('{"name": "a\\u0000b"}', "cannot be read: no setting holds the letter NUL"),
        ("[" * 100_000, "cannot be read: maximum recursion depth"),
        (" " * (1 << 20) + "{}", "cannot be read: it is longer than 1,048,576"),
        ('{"coumt": 1}', r"unknown setting coumt. Did you mean count\?"),
        ('{"pace": {"rate": -1}}', "--rate must be greater than 0. Received: -1.0"),
    )
    def test_refuses(self, config, text):
        with self.assertRaisesRegex(InputError, text):
            self.parse(config, "--name=x")

    def test_no_file(self):
        with self.assertRaisesRegex(InputError, "absent.json cannot be read"):
            cli.parse(Settings, ["--config=absent.json"])
        with self.assertRaisesRegex(InputError, "--config needs a file"):
            cli.parse(Settings, ["--config"])


class HelpTest(testing.TestCase):
    def test_text(self):
        found = usage.text("a/program.py", "Does\nit.\n\nMore.", Settings)
        expected = """\
            Does
            it.

            Usage: program.py [flags]

            First of all:
              --name=TEXT
                  Needed, and its text goes over two lines. [must be given]

            Flags:
              --count=N
                  A number. [in [0, 9]; default 3]
              --[no]shuffle
                  A boolean. [default true]
              --kinds=TEXT,TEXT
                  Some words. [default a,b]
              --rates=X,X
                  Some numbers. [in [0, 2)]
              --path=TEXT
                  May be left out.
              --except=TEXT
                  Photos that are left out. [may be repeated]

            The pace:
              --rate=X
                  Learning rate. [greater than 0]
              --schedule=TEXT
                  How it falls. [cosine | constant; default cosine]

            In all programs:
            """
        self.assertStartsWith(found, textwrap.dedent(expected))

    def test_words_without_a_flag(self):
        found = usage.text("program.py", None, Files)
        self.assertIn("Usage: program.py [flags] IN OUT\n", found)
        self.assertIn("  OUT\n      What is written. [must be given]\n", found)

    def test_wanted(self):
        self.assertTrue(usage.is_wanted(["--count=1", "--help"]))
        self.assertFalse(usage.is_wanted(["--count=1", "--", "--help"]))

"""Tests of `facedancer.cli`: flags, booleans, exit statuses."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap

from absl import flags
from absl.testing import parameterized

from facedancer import cli, testing
from facedancer.errors import InputError


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a program.

    Attributes:
        name: Needed, and its text goes
            over two lines.
        count: A number.
        shuffle: A boolean.
        kinds: Some words.
        rates: Some numbers.
        path: May be left out.

    Raises:
        ValueError: If the count is negative.
    """

    name: str
    count: int = 3
    shuffle: bool = True
    kinds: tuple[str, ...] = ("a", "b")
    rates: tuple[float, ...] = ()
    path: str | None = None

    def __post_init__(self):
        if self.count < 0:
            raise ValueError(f"`count` is negative. Received: {self.count}")


class FlagsTest(testing.TestCase):
    def parse(self, *words):
        values = flags.FlagValues()
        cli.define_from(Settings, values)
        values(cli.join_booleans(["program", *words], values))
        return cli.settings_from(Settings, values)

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

    @parameterized.parameters(
        (["--count=-1"], "`count` is negative"),
        (["--rates=a"], "--rates must be float values"),
    )
    def test_refuses(self, words, text):
        with self.assertRaisesRegex(InputError, text):
            self.parse("--name=x", *words)

    def test_help_texts(self):
        values = flags.FlagValues()
        cli.define_from(Settings, values)
        self.assertEqual(
            values["name"].help, "Needed, and its text goes over two lines."
        )
        self.assertEqual(values["path"].help, "May be left out.")

    def test_leftover(self):
        with self.assertRaisesRegex(InputError, "Unexpected arguments: x y"):
            cli.refuse_leftover(["program", "x", "y"])

    def test_arguments_without_a_flag(self):
        names = ("in.h5", "out.keras")
        self.assertEqual(cli.take_positional(["program", "a", "b"], names), ["a", "b"])
        self.assertEqual(cli.take_positional(["program"], ()), [])
        with self.assertRaisesRegex(InputError, "Unexpected arguments: c"):
            cli.take_positional(["program", "a", "b", "c"], names)
        with self.assertRaisesRegex(InputError, "in.h5 out.keras. Received: a"):
            cli.take_positional(["program", "a"], names)
        with self.assertRaisesRegex(InputError, "Received: none"):
            cli.take_positional(["program"], names)


PROGRAM = """
    from facedancer import cli
    from facedancer.errors import InputError

    def badly():
        raise InputError("a bad\\nfile")

    def interrupted():
        raise KeyboardInterrupt

    def as_cause():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("in native code") from error

    def while_handled():
        try:
            raise KeyboardInterrupt
        finally:
            raise OSError("cleaning up")

    def in_text():
        raise RuntimeError("Check 'false' failed:\\nKeyboardInterrupt: <EMPTY MESSAGE>")

    def defect():
        try:
            raise KeyError("first")
        except KeyError:
            raise RuntimeError("second")

    ENDS = {
        "well": lambda: None,
        "partly": lambda: cli.PARTIAL,
        "exit": lambda: exit(5),
        "badly": badly,
        "interrupted": interrupted,
        "as_cause": as_cause,
        "while_handled": while_handled,
        "in_text": in_text,
        "defect": defect,
    }

    def define_flags(flag_values):
        from absl import flags
        flags.DEFINE_enum("end", "well", list(ENDS), "How.", flag_values=flag_values)

    def main(flag_values):
        return ENDS[flag_values.end]()

    if __name__ == "__main__":
        cli.run(main, define_flags)
"""


class RunTest(testing.TestCase):
    @parameterized.parameters(
        (["--end=well"], 0, ""),
        (["--end=partly"], 2, ""),
        (["--end=badly"], 1, "Error: a bad file\n"),
        (["something"], 1, "Error: Unexpected arguments: something\n"),
        (["--end=never"], 1, "value should be one of"),
        (["--end=exit"], 5, ""),
        (["--end=interrupted"], 130, "Interrupted.\n"),
        (["--end=as_cause"], 130, "Interrupted.\n"),
        (["--end=while_handled"], 130, "Interrupted.\n"),
        (["--end=in_text"], 130, "Interrupted.\n"),
    )
    def test_exit_status(self, words, status, text):
        path = self.tempdir() / "program.py"
        path.write_text(textwrap.dedent(PROGRAM))
        done = subprocess.run(
            [sys.executable, path, *words], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, status)
        self.assertIn(text, done.stderr)
        self.assertLess(done.stderr.count("\n"), 4)

    def test_defect_is_not_hidden(self):
        path = self.tempdir() / "program.py"
        path.write_text(textwrap.dedent(PROGRAM))
        done = subprocess.run(
            [sys.executable, path, "--end=defect"], capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("RuntimeError: second", done.stderr)

"""Tests of how a program runs and ends."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import textwrap

from absl.testing import parameterized

from facedancer import cli
from tests import testing

ROOT = pathlib.Path(__file__).parents[2]


PROGRAM = """
    '''Ends in one of several ways.'''
    import dataclasses

    from facedancer import cli
    from facedancer.errors import InputError
    from facedancer.flags import settings

    def badly():
        raise InputError("a bad\\nfile\\x1b[2K")

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

    @dataclasses.dataclass(frozen=True)
    class Settings(settings.Checked):
        '''Settings.

        Attributes:
            end: How.
        '''

        end: str = settings.choice("well", ENDS)

    def main(settings):
        return ENDS[settings.end]()

    if __name__ == "__main__":
        cli.run(main, Settings)
"""


class RunTest(testing.TestCase):
    @parameterized.parameters(
        (["--end=well"], 0, ""),
        (["--end=partly"], 2, ""),
        (["--end=badly"], 1, "Error: a bad file\\x1b[2K\n"),
        (["something"], 1, "Error: Unexpected arguments: something\n"),
        (["--end=never"], 1, "Error: --end must be one of well, "),
        (["--ende=well"], 1, "Error: Unknown flag --ende. Did you mean --end?"),
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

    def test_help(self):
        path = self.tempdir() / "program.py"
        path.write_text(textwrap.dedent(PROGRAM))
        done = subprocess.run(
            [sys.executable, path, "--help"], capture_output=True, text=True, check=True
        )
        self.assertStartsWith(done.stdout, "Ends in one of several ways.\n")
        self.assertIn("  --end=TEXT\n      How. [well | partly |", done.stdout)
        self.assertEqual(done.stderr, "")

    def test_defect_is_not_hidden(self):
        path = self.tempdir() / "program.py"
        path.write_text(textwrap.dedent(PROGRAM))
        done = subprocess.run(
            [sys.executable, path, "--end=defect"], capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("RuntimeError: second", done.stderr)


class QuickTest(testing.TestCase):
    @parameterized.parameters(
        "video_swap.settings", "evaluation.settings", "dataset.crop_align"
    )
    def test_settings_need_no_network_library(self, module):
        words = f"import facedancer.{module}, sys; print('keras' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", words], capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stdout, "False\n")

    @parameterized.parameters(
        "video_swap/swap_image", "video_swap/multi_face_single_source"
    )
    def test_mistyped_flag_is_told_before_it_is_loaded(self, program):
        words = [sys.executable, "-X", "importtime", f"{program}.py", "--swap_sorce=a"]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Unknown flag --swap_sorce. Did you mean --swap_", done.stderr)
        self.assertNotRegex(done.stderr, r"\| +(keras|tensorflow)\n")


class OwnFolderTest(testing.TestCase):
    def test_a_program_s_own_modules_hide_nobody_s(self):
        """As `python models/convert.py` has it; other folders stay."""
        for first, left in (("models", False), ("tests", True), ("", True)):
            path = [str(ROOT / first) if first else "", "elsewhere"]
            cli.leave_own_folder(path)
            self.assertEqual(len(path) == 2, left, first)

    def test_it_is_left_before_the_work(self):
        """A module of the folder is not found by its bare name any more."""
        package = self.tempdir() / "package"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "litert_of_ours.py").touch()
        code = """
            import dataclasses, importlib.util
            from facedancer import cli

            @dataclasses.dataclass(frozen=True)
            class Nothing:
                pass

            def main(settings):
                print(importlib.util.find_spec("litert_of_ours"))

            cli.run(main, Nothing)
        """
        (package / "program.py").write_text(textwrap.dedent(code))
        done = subprocess.run(
            [sys.executable, package / "program.py"],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
        )
        self.assertEqual(done.stdout, "None\n")

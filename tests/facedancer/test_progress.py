"""Tests of `facedancer.process.progress`."""

import contextlib
import io
from unittest import mock

from facedancer.process import progress
from tests import testing


class ProgressTest(testing.TestCase):
    def lines(self, work, seconds_a_step=1.0):
        """What is written where each look at the clock takes a while."""
        clock = iter(seconds_a_step * i for i in range(1000))
        with contextlib.redirect_stderr(io.StringIO()) as said:
            with mock.patch.object(progress.time, "monotonic", lambda: next(clock)):
                work()
        return said.getvalue().splitlines()

    def counted(self, **values):
        with progress.bar(**values) as bar:
            for _ in range(12):
                bar.update()

    def test_a_line_every_few_seconds(self):
        lines = self.lines(lambda: self.counted(total=12, unit="frame", desc="clip"))
        self.assertEqual(
            lines,
            [
                "clip: 5 of 12 frames, 1 a second, 7 s left",
                "clip: 10 of 12 frames, 1 a second, 2 s left",
            ],
        )

    def test_what_was_done_before_does_not_count_for_the_rate(self):
        work = lambda: self.counted(total=110, initial=98, unit="photo")  # noqa: E731
        self.assertEqual(
            self.lines(work, 2.0)[0], "101 of 110 photos, 0.5 a second, 18 s left"
        )

    def test_without_an_end(self):
        def work():
            self.assertEqual(
                list(progress.bar(iter("abcdefg"), unit="row")), [*"abcdefg"]
            )

        self.assertEqual(self.lines(work), ["5 rows, 1 a second"])

    def test_short_works_and_hidden_ones_write_nothing(self):
        self.assertEqual(self.lines(lambda: self.counted(total=12), 0.1), [])
        self.assertEqual(self.lines(lambda: self.counted(total=12, shown=False)), [])

    def test_a_list_knows_its_length(self):
        self.assertEqual(progress.bar([1, 2, 3]).total, 3)

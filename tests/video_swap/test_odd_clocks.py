"""Tests of clips whose clock jumps or that carry a timecode."""

from fractions import Fraction

from absl.testing import parameterized

from facedancer.video_swap.media import (
    clock,
    streams,
    timecodes,
)
from tests import testing


class ClockTest(testing.TestCase):
    class Frame:
        def __init__(self, pts, duration=10, fields=False):
            self.pts, self.duration, self.interlaced_frame = pts, duration, fields

    class Packet:
        def __init__(self, pts=None, dts=None, key=False):
            self.pts, self.dts, self.is_keyframe = pts, dts, key

    def clock(self, jumps=False):
        return clock.Clock(10, Fraction(1, 100), jumps)

    def times(self, one, stamps, heard=None):
        return [one.time(self.Frame(pts), heard) for pts in stamps]

    def test_times_run_on_without_any(self):
        self.assertEqual(self.times(self.clock(), [None] * 4), [0, 10, 20, 30])

    def test_missing_ones_between_known_ones(self):
        self.assertEqual(self.times(self.clock(), [5, None, 25, None]), [5, 15, 25, 35])

    def test_a_jump_back_goes_on(self):
        one = self.clock()
        self.assertEqual(
            self.times(one, [500, 510, 0, 10, 20]), [500, 510, 520, 530, 540]
        )
        self.assertEqual(one.offsets, (0, Fraction(520, 100)))

    def test_a_leap_counts_only_in_broadcasts_and_without_sound_in_between(self):
        for jumps, heard, expected in (
            (False, None, 9000),
            (True, None, 20),
            (True, Fraction(90), 20),
            (True, Fraction(45), 9000),
        ):
            times = self.times(self.clock(jumps), [0, 10, 9000], heard)
            self.assertEqual(times, [0, 10, expected], (jumps, heard))

    def test_lost_packets(self):
        one = self.clock()
        for pts in (0, 10, 20, 30, 40):
            one.sent(self.Packet(pts, key=pts == 10))
        self.times(one, [0, 20, 30])
        self.assertEqual(one.lost(whole=False), [(10, True)])
        self.assertEqual(one.lost(whole=True), [(10, True), (40, False)])

    def test_second_fields_are_not_lost(self):
        one = self.clock()
        for pts in (0, 5, 10, 15):
            one.sent(self.Packet(pts))
        for pts in (0, 10):
            one.time(self.Frame(pts, fields=True))
        self.assertEqual(one.lost(whole=True), [])

    def test_followers_take_the_offset_by_which_they_go_on(self):
        seconds = (Fraction(0), Fraction(10), Fraction(20))
        picture, length = streams.Follower(seconds), Fraction(1, 10)
        sound = streams.Follower(seconds, picture)
        stamps = [*range(100), *range(99), *range(50)]
        found = []
        for (
            i
        ) in stamps:  # the sound of each moment lies half a second behind in the file
            self.assertIn(picture.offset(Fraction(i, 10), length), seconds)
            if i >= 5:
                found.append(sound.offset(Fraction(i - 5, 10), length))
        self.assertEqual(found, [0] * 95 + [10] * 94 + [20] * 45)

    def test_followers_see_a_hole(self):
        """Sound ends early in the first part, and its clock does not jump."""
        seconds, length = (Fraction(0), Fraction(20)), Fraction(1, 10)
        picture = streams.Follower(seconds)
        sound = streams.Follower(seconds, picture)
        for i in range(300):
            picture.offset(Fraction(i, 10), length)
            if i < 50:
                self.assertEqual(sound.offset(Fraction(i, 10), length), 0)
        for i in range(100, 150):
            picture.offset(Fraction(i, 10), length)
            self.assertEqual(sound.offset(Fraction(i, 10), length), 20)


class TimecodeTest(parameterized.TestCase):
    @parameterized.parameters(
        ("01:00:00:00", 25, 10, "01:00:10:00"),
        ("01:00:00:24", 25, Fraction(1, 25), "01:00:01:00"),
        ("23:59:59:24", 25, 1, "00:00:00:24"),
        # By SMPTE ST 12-1 minute 1 has no frames 0 and 1, minute 10 has.
        ("00:00:59;29", Fraction(30000, 1001), Fraction(1001, 30000), "00:01:00;02"),
        ("00:09:59;29", Fraction(30000, 1001), Fraction(1001, 30000), "00:10:00;00"),
        ("00:00:00;00", Fraction(30000, 1001), 3600, "01:00:00;00"),
        ("00:00:59;59", Fraction(60000, 1001), Fraction(1001, 60000), "00:01:00;04"),
        ("nonsense", 25, 1, ""),
    )
    def test_moved_on(self, code, rate, seconds, expected):
        found = timecodes.moved_on(code, Fraction(rate), Fraction(seconds))
        self.assertEqual(found, expected)

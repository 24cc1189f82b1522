"""Tests of facedancer.video_swap.clips.tracking and pipeline."""

import resource
import threading
import time

import numpy as np
from absl.testing import parameterized

from facedancer.face import alignment
from facedancer.face.faces import Faces
from facedancer.video_swap.clips import clip_stages, memory, pipeline, tracking
from facedancer.video_swap.media import video_reader
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.swapping import identities
from tests import testing
from tests.video_swap import made


def places_of(positions, noise=0.0):
    """Landmarks of a face of 100 pixels at positions `(n, 2)`, by frame number."""
    random = np.random.default_rng(0)
    points = alignment.template(100)
    return {
        i: points + p + random.normal(0, noise, (5, 2)) for i, p in enumerate(positions)
    }


class SmoothTest(testing.TestCase):
    def test_noise_of_a_still_face_shrinks(self):
        places = places_of(np.zeros((60, 2)), noise=0.5)
        steady = np.array([tracking.smooth(places, i, 2.0) for i in range(5, 55)])
        rough = np.array([places[i] for i in range(5, 55)])
        jitter = [np.abs(np.diff(a, axis=0)).mean() for a in (rough, steady)]
        self.assertLess(jitter[1], 0.35 * jitter[0])

    def test_even_movement_does_not_lag(self):
        line = np.arange(40)[:, None] * np.array([9.0, -4.0])
        places = places_of(line)
        for i in (0, 1, 20, 39):
            self.assert_close(tracking.smooth(places, i, 2.0), places[i], atol=1e-6)

    def test_sudden_movement_is_followed(self):
        step = np.zeros((30, 2))
        step[15:, 0] = 30.0
        places = places_of(step)
        for i in (14, 15):
            away = np.abs(tracking.smooth(places, i, 2.0) - places[i]).max()
            self.assertLess(away, 2.0)

    def test_off_and_short_tracks_change_nothing(self):
        places = places_of(np.zeros((2, 2)), noise=1.0)
        self.assert_close(tracking.smooth(places, 0, 2.0), places[0])
        places = places_of(np.zeros((9, 2)), noise=1.0)
        self.assert_close(tracking.smooth(places, 4, 0.0), places[4])

    def test_a_hole_is_not_bridged(self):
        places = places_of(np.zeros((9, 2)))
        del places[3]
        places[2] += 50.0
        self.assert_close(tracking.smooth(places, 4, 2.0), places[4], atol=1e-6)


class TrackerTest(testing.TestCase):
    def faces(self, *lefts):
        boxes = np.array([[x, 10, x + 40, 50] for x in lefts], float).reshape(-1, 4)
        points = alignment.template(40) + boxes[:, None, :2]
        return Faces(boxes, points.reshape(-1, 5, 2), np.ones(len(lefts)))

    def test_faces_keep_their_track(self):
        tracker = tracking.Tracker(max_gap=3)
        first = tracker.add(0, self.faces(0, 100), None)
        second = tracker.add(1, self.faces(105, 4), None)
        self.assertEqual([t.number for t in first], [0, 1])
        self.assertEqual([t.number for t in second], [1, 0])

    def test_gap_is_filled_in_a_straight_line(self):
        tracker = tracking.Tracker(max_gap=3)
        track = tracker.add(0, self.faces(0), None)[0]
        tracker.add(3, self.faces(9), None)
        self.assert_close(
            track.landmarks[1] - track.landmarks[0], np.full((5, 2), [3.0, 0])
        )
        self.assertEqual(track.found, {0, 3})

    def test_long_gap_starts_a_new_track(self):
        tracker = tracking.Tracker(max_gap=3)
        tracker.add(0, self.faces(0), None)
        self.assertEqual(tracker.add(5, self.faces(0), None)[0].number, 1)

    def test_likeness_decides_between_boxes_that_overlap(self):
        a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
        tracker = tracking.Tracker(max_gap=3)
        tracker.add(0, self.faces(0, 20), np.stack([a, b]))
        # The two pass each other: each box now lies nearer to the other's last place.
        after = tracker.add(1, self.faces(12, 8), np.stack([a, b]))
        self.assertEqual([t.number for t in after], [0, 1])


class LookTest(testing.TestCase):
    """Whom a swapped face shows is looked at now and then, not in every frame."""

    def run_on(self, count, rules=None, cut=None):
        seen, told = [], []

        class Embedder(made.ColourEmbedder):
            def embed(self, crops):
                seen.append(len(crops))
                return super().embed(crops)

        def engine(targets, vectors):
            told.extend(vectors)
            return np.array(targets)

        swapper = made.make_swapper(
            rules, engine, extrapolation=0.25, embedder=Embedder()
        )
        images = made.moving_scenes(count)
        # The face gets darker, so that each look finds another vector.
        images = [
            (image * (1.0 - 0.01 * i)).astype("u1") for i, image in enumerate(images)
        ]
        frames = (
            video_reader.Frame(i, Rgb(image), 10 * i) for i, image in enumerate(images)
        )
        settings = clip_stages.StageSettings()
        steps = clip_stages.steps(frames, swapper, settings, lambda image, index: image)
        self.assertLen(list(steps), count)
        return seen, np.stack(told)

    def test_every_twelfth_frame(self):
        seen, told = self.run_on(25)
        self.assertEqual(seen, [1, 1, 1])
        self.assertLen(told, 25)
        changes = np.flatnonzero(np.abs(np.diff(told, axis=0)).max(axis=1) > 1e-4) + 1
        np.testing.assert_array_equal(changes, [12, 24])

    def test_vectors_that_are_there_are_taken(self):
        red = made.identity_of(made.RED)
        rule = identities.Rule("red", red, made.identity_of(made.BLUE))
        seen, told = self.run_on(14, [rule])
        self.assertEqual(seen, [1] * 14)  # to compare
        self.assertLen(told, 14)


class FollowTest(testing.TestCase):
    def run_on(self, images, detector=None, rules=None, **options):
        swapper = made.make_swapper(rules, detector=detector)
        frames = (
            video_reader.Frame(i, Rgb(image), 10 * i) for i, image in enumerate(images)
        )
        settings = clip_stages.StageSettings(**options)
        return list(
            clip_stages.steps(frames, swapper, settings, lambda image, index: image)
        )

    @parameterized.parameters((2.0, 6), (0.0, 6), (2.0, 0), (0.0, 0))
    def test_order_and_places(self, smoothing, max_gap):
        steps = self.run_on(
            made.moving_scenes(12), smoothing=smoothing, max_gap=max_gap
        )
        self.assertEqual([s.frame.index for s in steps], list(range(12)))
        for i, step in enumerate(steps):
            centre = step.jobs[0].landmarks[:, 0].mean()
            self.assertAlmostEqual(centre, 10 + 2 * i + 19.5, delta=0.5)

    @parameterized.parameters((6, 3), (0, 0))
    def test_gap(self, max_gap, filled):
        detector = made.BlinkingDetector({4, 5, 6})
        steps = self.run_on(made.moving_scenes(12), detector, max_gap=max_gap)
        self.assertEqual(sum(step.filled for step in steps), filled)
        self.assertEqual(sum(len(step.jobs) for step in steps), 9 + filled)

    @parameterized.product(
        min_track=(1, 3), smoothing=(0.0, 2.0), max_gap=(0, 6), every=(1, 2)
    )
    def test_what_is_seen_for_a_moment_is_no_face(
        self, min_track, smoothing, max_gap, every
    ):
        images = [made.scene((made.RED, 20, 20, 40)) for _ in range(12)]
        images[6] = made.scene((made.RED, 20, 20, 40), (made.GREEN, 100, 60, 30))
        steps = self.run_on(
            images,
            min_track=min_track,
            smoothing=smoothing,
            max_gap=max_gap,
            detect_every=every,
        )
        expected = [1] * 12
        expected[6] = 1 if min_track == 3 else 2
        self.assertEqual([len(step.jobs) for step in steps], expected)

    def test_two_finds_are_not_enough_three_are(self):
        for missed, jobs in (({0, 1, 2, 3, 6, 7, 8, 9}, 0), ({0, 1, 2, 6, 7, 8, 9}, 3)):
            detector = made.BlinkingDetector(missed)
            steps = self.run_on(made.moving_scenes(10), detector)
            self.assertEqual(sum(len(step.jobs) for step in steps), jobs)

    @parameterized.parameters(1, 2)
    def test_a_short_clip_needs_no_more_frames_than_it_has(self, count):
        steps = self.run_on(made.moving_scenes(count))
        self.assertEqual([len(step.jobs) for step in steps], [1] * count)

    def test_cut_ends_the_tracks(self):
        random = np.random.default_rng(0)
        one, two = (
            np.kron(random.integers(0, 255, (3, 5, 1)), np.ones((32, 32, 3))).astype(
                np.uint8
            )
            for _ in range(2)
        )
        one[20:60, 20:60], two[20:60, 20:60] = made.RED, made.RED
        detector = made.BlinkingDetector({4, 5})
        steps = self.run_on([one] * 5 + [two] * 5, detector)
        self.assertEqual([len(s.jobs) for s in steps], [1] * 4 + [0] * 2 + [1] * 4)

    def test_later_frames_help_to_tell_who_it_is(self):
        images = [made.scene((made.GREEN, 20, 20, 40)) for _ in range(8)]
        # In the first frame the face looks like somebody else: cosine 0.14.
        images[0] = made.scene(((170, 120, 30), 20, 20, 40))
        rule = identities.Rule(
            "green", made.identity_of(made.GREEN), made.identity_of(made.BLUE)
        )
        steps = self.run_on(images, rules=[rule])
        self.assertEqual([len(step.jobs) for step in steps], [1] * 8)

    @parameterized.parameters(0, 6)
    def test_a_face_in_a_gap_keeps_its_reference(self, max_gap):
        class MissesTheLeftOne(made.BlinkingDetector):
            def _search(self, image):
                self.index += 1
                faces = made.SquareDetector._search(self, image)
                seen = faces.boxes[:, 0] > 60 if self.index in self.missed else slice(9)
                return faces[seen]

        # Cosine 0.99 to the person of the photo, who stands on the left.
        other = (200, 60, 30)
        images = [made.scene((made.RED, 20, 20, 40), (other, 90, 20, 40))] * 12
        rule = identities.Rule(
            "red", made.identity_of(made.RED), made.identity_of(made.BLUE)
        )
        steps = self.run_on(
            images, MissesTheLeftOne({5, 6}), [rule], max_gap=max_gap, smoothing=0.0
        )
        lefts = [[job.landmarks[0, 0] < 60 for job in step.jobs] for step in steps]
        gap = [[True]] * 2 if max_gap else [[False]] * 2  # alone, he is the nearest
        self.assertEqual(lefts, [[True]] * 5 + gap + [[True]] * 5)

    @parameterized.parameters(2, 5)
    def test_places_between_searched_frames(self, every):
        searched = []

        class Counting(made.SquareDetector):
            def _search(self, image):
                searched.append(image)
                return super()._search(image)

        swapper = made.make_swapper(detector=Counting())
        images = made.moving_scenes(12)
        frames = (
            video_reader.Frame(i, Rgb(image), 10 * i) for i, image in enumerate(images)
        )
        settings = clip_stages.StageSettings(max_gap=0, detect_every=every)
        steps = list(clip_stages.steps(frames, swapper, settings, lambda a, i: a))
        self.assertLen(searched, {2: 7, 5: 4}[every])  # and always the last one
        for i, step in enumerate(steps):
            centre = step.jobs[0].landmarks[:, 0].mean()
            self.assertAlmostEqual(centre, 10 + 2 * i + 19.5, delta=0.5)
            self.assertEqual(step.filled, 0)

    def test_jitter_is_measured(self):
        track = tracking.Track(0, tracking.Shot())
        points = alignment.template(1) * 100
        wide = np.hypot(*(points[1] - points[0]))
        for i, shift in enumerate((0.0, 1.0, 0.0)):
            track.add(i, points + [shift, 0.0], np.zeros(4), None)
            found = track.jitter(i, points)
        # |0 - 2 + 0| in x, nothing in y: 1 on average, of the eye distance.
        self.assert_close(found, np.array([1.0 / wide, 0.0, 1.0]))

    def test_settings_are_checked(self):
        with self.assertRaisesRegex(ValueError, "`smoothing` must be at least 0"):
            clip_stages.StageSettings(smoothing=-1.0)
        with self.assertRaisesRegex(ValueError, "`min_track` must be at least 1"):
            clip_stages.StageSettings(min_track=0)


class PrefetchTest(testing.TestCase):
    def test_order_is_kept_and_little_waits(self):
        ahead = []

        def numbers():
            for i in range(50):
                ahead.append(i)
                yield i

        stage = pipeline.prefetch(numbers(), 3)
        self.assertEqual(next(stage), 0)
        time.sleep(0.2)
        self.assertLessEqual(len(ahead), 6)
        self.assertEqual(list(stage), list(range(1, 50)))

    def test_error_comes_through_at_its_place(self):
        def fails():
            yield 1
            raise ValueError("in the stage")

        stage = pipeline.prefetch(fails(), 2)
        self.assertEqual(next(stage), 1)
        with self.assertRaisesRegex(ValueError, "in the stage"):
            next(stage)

    def test_closing_ends_all_threads(self):
        closed = []

        def endless():
            try:
                while True:
                    yield 0
            finally:
                closed.append(True)

        stage = pipeline.prefetch(pipeline.prefetch(endless(), 2), 2)
        next(stage)
        stage.close()
        self.assertEqual(closed, [True])
        names = [thread.name for thread in threading.enumerate()]
        self.assertEmpty([name for name in names if name.startswith("stage")])

    def test_batches(self):
        self.assertEqual(list(pipeline.batches(range(5), 2)), [[0, 1], [2, 3], [4]])


class MemoryTest(testing.TestCase):
    def test_what_was_freed_is_taken_again(self):
        with memory.kept() as can:
            if not can:
                self.skipTest("This C library gives freed memory back as it likes")
            picture = np.ones(3 << 20, np.uint8)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(50):
                del picture
                picture = np.ones(3 << 20, np.uint8)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        self.assertLess(after - before, 50)  # 38,400 pages, were each new
        self.assertEqual(picture.sum(), 3 << 20)

"""Tests of `facedancer faces` and `--pick`: who is in a photo or clip."""

import contextlib
import io
import json
from unittest import mock

import numpy as np
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.video_swap import find_faces, options
from facedancer.video_swap.clips import people
from facedancer.video_swap.settings import PeopleSettings
from facedancer.video_swap.swapping import identities, networks
from tests import testing
from tests.video_swap import made

CONTRACT = SwapContract(InputContract(64, "signed"), IdentityInput(size=3))
DETECTOR, EMBEDDER = made.SquareDetector(), made.ColourEmbedder()
RED, GREEN, BLUE = made.RED, made.GREEN, made.BLUE


def find(path, **options):
    return people.find(path, DETECTOR, EMBEDDER, **options)


class PeopleTest(testing.TestCase):
    def photo(self, *faces):
        return images.write_image(self.tempdir() / "group.png", made.scene(*faces))

    def clip(self, frames):
        return made.write_clip(self.tempdir() / "clip.mp4", frames)

    def colours(self, found):
        return [tuple(np.round(one.vector + 100).astype(int)) for one in found]

    def test_a_photo_is_counted_from_the_left(self):
        path = self.photo((GREEN, 100, 10, 40), (RED, 10, 30, 50))
        found = find(path)
        self.assertEqual([one.number for one in found], [1, 2])
        self.assertEqual(self.colours(found), [RED, GREEN])
        self.assertEqual([round(one.side) for one in found], [49, 39])
        self.assertEqual([one.times for one in found], [(), ()])
        middle = found[0].picture[80, 80]
        np.testing.assert_array_equal(middle, RED)

    def test_equal_faces_of_one_photo_are_two_people(self):
        self.assertLen(find(self.photo((RED, 10, 30, 50), (RED, 90, 30, 50))), 2)

    def test_a_clip_is_counted_by_who_is_seen_most(self):
        """48 frames, every third is searched; green is away for half a second."""
        frames = []
        for i in range(48):
            faces = [(RED, 10 + i // 2, 20, 40)] if i < 21 else []
            faces += [(GREEN, 100, 20, 40)] if i < 12 or i >= 27 else []
            frames.append(made.scene(*faces))
        found = find(self.clip(frames))
        self.assertEqual([one.faces for one in found], [4 + 7, 7])
        green, red = found
        self.assertGreater(green.vector[1], green.vector[0])
        np.testing.assert_allclose(red.times, [(0.0, 18 / 25)], atol=1e-6)
        np.testing.assert_allclose(
            green.times, [(0.0, 9 / 25), (27 / 25, 45 / 25)], atol=1e-6
        )

    def test_one_person_seen_from_two_sides_is_one(self):
        """A face that changes slowly is met half way; both ends then are one."""
        groups = [people._Group(0), people._Group(1), people._Group(2)]
        box, points = np.array([0.0, 0, 40, 40]), made.alignment.template(40)
        for frame, (group, angle) in enumerate(
            [(0, 0.0), (1, 80.0), (0, 35.0), (1, 45.0), (2, 170.0)]
        ):
            turned = np.radians(angle)
            vector = np.array([np.cos(turned), np.sin(turned)], np.float32)
            groups[group].add(frame, made.scene(), box, points, vector)
        joined = people._joined(groups, 0.6)
        self.assertEqual([one.seen for one in joined], [[0, 1, 2, 3], [4]])
        groups[0].seen, groups[1].seen = [0, 1], [1, 3]  # beside each other once
        self.assertLen(people._joined(groups, 0.6), 3)

    @parameterized.parameters(
        ([0, 1, 2], ((0.0, 1.0),)),
        ([0, 2, 5], ((0.0, 1.0), (2.5, 2.5))),
        ([], ()),
    )
    def test_stretches(self, seen, expected):
        times = [0.5 * i for i in range(6)]
        self.assertEqual(people.stretches(seen, times), expected)

    def test_words(self):
        person = people.Person(
            1, np.zeros(3), np.zeros(0), 3, 42.4, ((3, 64), (70, 71))
        )
        self.assertEqual(people.in_words(person), "0:03-1:04, ...")
        self.assertEqual(people.in_words(person, 2), "0:03-1:04, 1:10-1:11")

    def test_nobody(self):
        with self.assertRaisesRegex(InputError, "group.png: no face was found"):
            find(self.photo())
        with self.assertRaisesRegex(InputError, "none.png: no such file or folder"):
            find(self.tempdir() / "none.png")


class ProgramTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        scene = made.scene((RED, 10, 30, 50), (GREEN, 100, 10, 40))
        self.path = images.write_image(self.tempdir() / "group.png", scene)
        self.output = self.path.with_name("people.png")

    def run_program(self, **values):
        settings = find_faces.FacesSettings(str(self.path), str(self.output), **values)
        loads = mock.patch.object(
            networks, "load_finders", return_value=(DETECTOR, EMBEDDER)
        )
        with loads, contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(find_faces.main(settings), 0)
        return said.getvalue()

    def test_table_and_picture(self):
        said = self.run_program().splitlines()
        self.assertEqual(said[0], "number  frames  largest  seen")
        self.assertEqual(said[1], "     1       1    49 px")
        sheet = images.read_image(self.output)
        self.assertEqual(sheet.shape, (174, 320, 3))
        np.testing.assert_array_equal(sheet[100, 80], RED)
        np.testing.assert_array_equal(sheet[100, 240], GREEN)
        self.assertTrue((sheet[2, 2] == 0).all(), "the number stands on black")

    def test_json(self):
        found = json.loads(self.run_program(json=True))
        self.assertEqual(found[1]["number"], 2)
        self.assertEqual(set(found[0]), {"number", "frames", "largest", "times"})

    def test_pick(self):
        reader = mock.Mock(read=lambda paths: np.float32([len(paths), 0, 0]))
        found = find(self.path)
        wanted = PeopleSettings(pick=("2=me.jpg",))
        (rule,) = options.picked(wanted, found, reader, CONTRACT)
        self.assertEqual(rule.name, "person 2=me.jpg")
        np.testing.assert_allclose(rule.reference, made.identity_of(GREEN), atol=1e-3)
        rules = [identities.Rule(rule.name, rule.reference, made.identity_of(BLUE))]
        result = made.make_swapper(rules).swap_frame(images.read_image(self.path))
        self.assertEqual(result.rules, [0, None], "the upper one is found first")
        with self.assertRaisesRegex(InputError, "there are 2 people in it, numbered"):
            options.picked(PeopleSettings(pick=("3=me.jpg",)), found, reader, CONTRACT)

    @parameterized.parameters("me.jpg", "x=me.jpg", "2=")
    def test_a_pick_is_a_pair(self, pair):
        with self.assertRaisesRegex(ValueError, "--pick must be NUMBER=SOURCE"):
            PeopleSettings(pick=(pair,))

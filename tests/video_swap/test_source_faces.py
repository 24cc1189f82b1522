"""Tests of `facedancer.video_swap.swapping.source_faces`."""

import numpy as np
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.face.faces import Faces
from facedancer.imaging import images
from facedancer.video_swap.settings import check_face
from facedancer.video_swap.swapping import identities, source_faces
from tests import testing
from tests.video_swap import made

SIZE = 300, 600
# Left: large, at the edge. Middle: a bit smaller. Right: small, below, surest.
BOXES = np.array([[250, 100, 350, 200], [0, 90, 120, 210], [500, 220, 560, 280]])
FACES = Faces(BOXES, np.zeros((3, 5, 2)), np.array([0.8, 0.7, 0.9]))


class PickTest(testing.TestCase):
    @parameterized.parameters(
        ("main", 0),
        ("largest", 1),
        ("best", 2),
        ("left", 1),
        ("right", 2),
        ("top", 0),
        ("bottom", 2),
        ("1", 1),
        ("2", 0),
        ("3", 2),
    )
    def test_each_word(self, which, expected):
        check_face(which)
        self.assertEqual(source_faces.pick(FACES, SIZE, which, "x.jpg"), expected)

    def test_a_face_at_the_edge_can_be_too_large_to_be_passed_over(self):
        boxes = np.array([[280, 140, 320, 160], [0, 50, 200, 250]])
        faces = Faces(boxes, np.zeros((2, 5, 2)), np.ones(2))
        self.assertEqual(source_faces.pick(faces, SIZE, "main", ""), 1)

    def test_number_beyond_the_faces_lists_them(self):
        words = (
            "x.jpg: --source_face must be a number from 1 to 3 here. Received: 4. From "
            r"the left: 1: 120 px at \(60, 150\), 2: 100 px at \(300, 150\), 3: 60 px"
        )
        with self.assertRaisesRegex(InputError, words):
            source_faces.pick(FACES, SIZE, "4", "x.jpg")

    @parameterized.parameters("", "0", "-1", "1.5", "middle", "²")
    def test_unknown_words(self, which):
        with self.assertRaisesRegex(ValueError, "main, largest, .* 1 is the leftmost"):
            check_face(which)

    def test_note(self):
        note = source_faces.note(FACES, 0, "main", "x.jpg")
        self.assertStartsWith(
            note,
            "x.jpg: 3 faces, number 2 from the left was taken (the largest near the "
            "middle). From the left: 1: 120 px",
        )
        self.assertEqual(source_faces.note(FACES[:1], 0, "main", "x.jpg"), "")


class ReaderTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        both = made.scene((made.RED, 0, 25, 44), (made.GREEN, 60, 28, 40))
        images.write_image(self.folder / "both.png", both)
        one = made.scene((made.GREEN, 60, 28, 40))
        images.write_image(self.folder / "one.png", one)
        images.write_image(self.folder / "none.png", made.scene())
        (self.folder / "text.png").write_text("x")

    def read(self, path, **options):
        reader = identities.IdentityReader(
            made.SquareDetector(), made.ColourEmbedder(), **options
        )
        return reader.read([self.folder / path]), reader.notes

    @parameterized.parameters(
        ({}, made.GREEN, "number 2"),
        ({"face": "1"}, made.RED, "number 1"),
        ({"face": "largest"}, made.RED, "the largest"),
    )
    def test_the_face_taken_is_said(self, options, colour, words):
        vector, notes = self.read("both.png", **options)
        self.assert_close(vector, made.identity_of(colour), atol=2)
        self.assertLen(notes, 1)
        self.assertIn(words, notes[0])
        self.assertEqual(self.read("one.png")[1], [])

    def test_folder(self):
        vector, notes = self.read("")
        self.assert_close(vector, made.identity_of(made.GREEN), atol=2)
        self.assertLen(notes, 2)
        self.assertIn("2 of 4 photos were passed over; for instance", notes[0])
        self.assertIn("1 of its photos show several faces; the largest n", notes[1])

"""Tests of `facedancer.video_swap.swapping.source_glasses`, and of who uses it."""

import dataclasses

import numpy as np
import pytest
import skimage.data

import facedancer
from facedancer.arcface_model import load_embedder
from facedancer.face import face_classes
from facedancer.imaging import images
from facedancer.video_swap import api_results
from facedancer.video_swap.settings import SwapSettings
from facedancer.video_swap.swapping import identities, source_glasses
from tests import testing
from tests.video_swap import made


class Everywhere:
    """A parser to which the bright part of a crop is glasses."""

    name = "everywhere"

    def begin(self):
        pass

    def probabilities(self, crops):
        found = np.zeros((len(crops), *crops[0].shape[:2], 19), np.float32)
        found[..., face_classes.GLASSES] = np.stack(crops).mean(axis=3) / 255.0
        return found


class GlassesOffTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        direction = np.array([1.0, 0.0, 0.0])
        self.off = source_glasses.GlassesOff(Everywhere(), direction, 0.1, 0.5)

    def test_the_length_along_the_direction_becomes_that_of_bare_faces(self):
        found = self.off.without(5.0 * np.array([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]))
        expected = np.array([[0.1, 0.8, 0.0], [0.1, 0.0, 1.0]])
        expected *= 5.0 / np.linalg.norm(expected, axis=1, keepdims=True)
        self.assert_close(found, expected, atol=1e-6)

    def test_only_who_wears_some_changes(self):
        """From 2 % of the crop on: 21 of 1,000 pixels, and 19."""
        crops = np.zeros((3, 25, 40, 3), np.uint8)
        crops[1].reshape(-1, 3)[:21] = 255
        crops[2].reshape(-1, 3)[:19] = 255
        vectors = np.eye(3, dtype=np.float32) + 0.3
        found = self.off(vectors, crops)
        self.assert_close(found[[0, 2]], vectors[[0, 2]], atol=0)
        self.assert_close(found[1], self.off.without(vectors[1:2])[0], atol=1e-6)
        self.assertGreater(np.abs(found[1] - vectors[1]).max(), 0.1)

    def test_thin_rims_count_where_the_vector_says_so_too(self):
        """More than 4 of 1,000 pixels, and more than .3 along the direction."""
        crops = np.zeros((4, 25, 40, 3), np.uint8)
        for crop, pixels in zip(crops, (5, 5, 4, 0), strict=True):
            crop.reshape(-1, 3)[:pixels] = 255
        along = np.array([0.31, 0.29, 0.9, 0.9])
        vectors = 7.0 * np.stack([along, np.sqrt(1 - along**2), 0 * along], axis=1)
        changed = np.abs(self.off(vectors, crops) - vectors).max(axis=1) > 0.1
        self.assertEqual(changed.tolist(), [True, False, False, False])

    def test_the_packaged_encoder_is_known_and_others_are_not(self):
        encoder = load_embedder().encoder
        found = source_glasses.find(Everywhere(), encoder.name_with_hash)
        self.assertEqual(found.direction.shape, (encoder.embedding_size,))
        self.assertAlmostEqual(float(np.linalg.norm(found.direction)), 1.0, places=5)
        self.assertIsNone(source_glasses.find(Everywhere(), "resnet50@01234567"))
        self.assertIsNone(source_glasses.find(None, encoder.name_with_hash))


class ReaderTest(testing.TestCase):
    def test_a_source_loses_them_and_a_reference_does_not(self):
        photo = self.tempdir() / "red.png"
        images.write_image(photo, made.scene((made.RED, 40, 20, 50)))
        tool = made.make_swapper()
        off = lambda vectors, crops: vectors + 100.0  # noqa: E731
        reader = identities.IdentityReader(tool.detector, tool.embedder, glasses=off)
        plain = identities.IdentityReader(tool.detector, tool.embedder)
        self.assert_close(reader.read([photo]), plain.read([photo]) + 100.0, atol=1e-3)
        self.assertEqual(
            reader.notes,
            [
                "Glasses on 1 of 1 photos of a person were left out of the identity; "
                "--source_glasses=keep takes them over"
            ],
        )
        reader.glasses, reader.notes = lambda vectors, crops: vectors, []
        reader.read([photo])
        self.assertEqual(reader.notes, [])


@pytest.fixture(scope="module")
def swapper():
    """The packaged networks, with a parser that finds glasses on every face."""
    found = facedancer.Swapper(provenance="off")
    found._loaded = dataclasses.replace(found._loaded, parser=Everywhere())
    return found


def test_from_python(swapper):
    face = np.ascontiguousarray(skimage.data.astronaut()[:260, 100:340])
    me = swapper.identity(face)
    assert np.linalg.norm(me.bare - me.vector) > 0.1
    off = source_glasses.find(Everywhere(), me.encoder)
    np.testing.assert_allclose(me.bare, off.without(me.vector[None])[0], atol=1e-4)
    # Of several, and of those made before, both are the mean.
    two = swapper.identity([me, face])
    assert two.bare is not None and not np.array_equal(two.bare, two.vector)
    told = {
        word: swapper.with_settings(source_glasses=word)._told(me)[1]
        for word in ("drop", "keep")
    }
    np.testing.assert_array_equal(told["drop"], me.bare)
    np.testing.assert_array_equal(told["keep"], me.vector)
    bare = api_results.Identity(me.vector, me.encoder)
    np.testing.assert_array_equal(swapper._told(bare)[1], me.vector)


def test_without_glasses_there_is_one_vector():
    found = facedancer.Swapper(provenance="off")
    face = np.ascontiguousarray(skimage.data.astronaut()[:260, 100:340])
    assert found.identity(face).bare is None


def test_who_keeps_them(swapper):
    loaded = swapper._loaded
    assert loaded.glasses(SwapSettings()) is not None
    assert loaded.glasses(SwapSettings(source_glasses="keep")) is None
    none = dataclasses.replace(loaded, parser=None)
    assert none.glasses(SwapSettings()) is None
    with pytest.raises(ValueError, match="source_glasses"):
        SwapSettings(source_glasses="off")

"""Tests of `facedancer.arcface_model.embedding`."""

import keras
import numpy as np
from absl.testing import parameterized

from facedancer import arcface_model
from tests import testing


class VectorsTest(testing.TestCase):
    def test_normalize_by_hand(self):
        vectors = np.array([[3.0, 4.0], [0.0, 0.0]])
        self.assert_close(
            arcface_model.normalize(vectors), np.array([[0.6, 0.8], [0.0, 0.0]])
        )

    def test_cosine_by_hand(self):
        a = np.array([[1.0, 0.0], [1.0, 0.0], [2.0, 2.0]])
        b = np.array([[5.0, 0.0], [0.0, 3.0], [-1.0, -1.0]])
        self.assert_close(arcface_model.cosine(a, b), np.array([1.0, 0.0, -1.0]))
        expected = np.array([[1.0, 0.0, -0.7071068]] * 2 + [[0.7071068, 0.7071068, -1]])
        self.assert_close(arcface_model.cosine_matrix(a, b), expected)

    def test_mean_of_embeddings_by_hand(self):
        # directions x and y count alike though one is three times as long
        mean = arcface_model.mean_of_embeddings(np.array([[6.0, 0.0], [0.0, 2.0]]))
        self.assert_close(mean, np.full(2, 4.0 / np.sqrt(2)))
        one = np.array([[1.0, -2.0, 0.5]])
        self.assert_close(arcface_model.mean_of_embeddings(one), one[0])

    def test_mean_of_nothing(self):
        with self.assertRaisesRegex(ValueError, "n > 0. Received: \\(0, 4\\)"):
            arcface_model.mean_of_embeddings(np.zeros((0, 4)))


class EmbedderTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keras.utils.set_random_seed(0)
        cls.encoder = arcface_model.build_mobilefacenet(
            12, 32, width=0.125, blocks=(1, 1, 1)
        )

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.crops = random.integers(0, 255, (5, 32, 32, 3), np.uint8)

    @parameterized.parameters(1, 2, 8)
    def test_batches_change_nothing(self, batch_size):
        found = arcface_model.Embedder(self.encoder, batch_size).embed(self.crops)
        signed = self.crops.astype("float32") / 127.5 - 1.0
        self.assertEqual(found.dtype, np.float32)
        self.assert_close(found, self.encoder(signed), 1e-4, 1e-5)

    def test_no_crop(self):
        found = arcface_model.Embedder(self.encoder).embed(self.crops[:0])
        self.assertEqual(found.shape, (0, 12))

    def test_wrong_crops(self):
        embedder = arcface_model.Embedder(self.encoder)
        with self.assertRaisesRegex(ValueError, "float32 of shape"):
            embedder.embed(self.crops.astype("float32"))
        with self.assertRaisesRegex(ValueError, "n, 32, 32, 3.*of shape \\(5, 30, 32"):
            embedder.embed(self.crops[:, :30])

    def test_batch_size(self):
        with self.assertRaisesRegex(ValueError, "positive. Received: batch_size=0"):
            arcface_model.Embedder(self.encoder, 0)

"""Measures of a generator, and the pictures of it."""

import dataclasses

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.models import build_generator
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.validation import samples, validation
from facedancer.train.validation.feeds import Pairs
from tests import testing
from tests.train import tiny


def copy_target(feeds):
    return {"swapped": feeds["target"]}


class ValidationTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        images = random.uniform(-1, 1, (2, 5, 16, 16, 3)).astype("f4")
        self.pairs = Pairs(*images)
        self.teacher = Teacher(tiny.encoder(), tiny.TAPS)
        self.judge = Teacher(tiny.encoder(seed=5))

    def measure(self, generator, **options):
        return validation.Validation(self.pairs, self.teacher, self.judge, **options)(
            generator
        )

    def test_a_copy_of_the_target(self):
        found = self.measure(copy_target)
        self.assertAlmostEqual(found["cosine_to_target"], 1.0, places=5)
        self.assertEqual((found["change"], found["self_reconstruction"]), (0.0, 0.0))
        self.assertEqual(found["closer_to_source"], 0.0)

    def test_the_source_itself(self):
        by_vector = {
            tuple(vector): source
            for vector, source in zip(
                validation.vectors_of(self.teacher, self.pairs.sources),
                self.pairs.sources,
                strict=True,
            )
        }

        def show_source(feeds):
            both = zip(feeds["target"], feeds["identity"], strict=True)
            known = [by_vector.get(tuple(v), t) for t, v in both]
            return {"swapped": np.stack(known)}

        found = self.measure(
            show_source, embedders={"pose": lambda x: x.mean(axis=(1, 2))}
        )
        self.assertAlmostEqual(found["cosine_to_source"], 1.0, places=5)
        self.assertEqual((found["retrieval_top_1"], found["closer_to_source"]), (1, 1))
        difference = self.pairs.sources - self.pairs.targets
        self.assertAlmostEqual(
            found["change"], np.abs(difference).mean() * 127.5, places=3
        )
        expected = np.linalg.norm(difference.mean(axis=(1, 2)), axis=-1).mean()
        self.assertAlmostEqual(found["pose"], expected, places=5)

    def test_top_1_by_hand(self):
        gallery = np.eye(3)
        queries = np.array([[1.0, 0.2, 0.0], [1.0, 0.5, 0.0], [0.0, 0.1, 2.0]])
        self.assertAlmostEqual(validation.top_1(queries, gallery), 2 / 3)

    def test_batches_of_any_number(self):
        targets = np.arange(7.0).reshape(7, 1, 1, 1).astype("f4")
        pairs = Pairs(targets, targets, np.zeros((7, 2)))
        found = validation.swap(copy_target, pairs, batch=3)
        np.testing.assert_array_equal(found, targets)


class PairsTest(testing.TestCase):
    def test_fixed_pairs_of_different_people(self):
        pattern = tiny.write_shards(self.tempdir())
        first = validation.read_pairs(pattern, 16, 4)
        again = validation.read_pairs(pattern, 16, 4)
        np.testing.assert_array_equal(first.targets, again.targets)
        self.assertEqual(first.sources.shape, (4, 16, 16, 3))
        self.assertBetween(float(np.abs(first.sources).max()), 0.5, 1.0)
        self.assertGreater(
            np.abs(first.targets - first.sources).mean(axis=(1, 2, 3)).min(), 0.05
        )

    def test_shards_without_labels(self):
        pattern = tiny.write_shards(self.tempdir(), people=1)
        self.assertLen(validation.read_pairs(pattern, 16, 3).targets, 3)


class EmbedderTest(testing.TestCase):
    def test_embedder_from_a_file(self):
        path = self.tempdir() / "pose.keras"
        image = keras.Input((8, 8, 3))
        keras.Model(image, keras.layers.GlobalAveragePooling2D()(image)).save(path)
        embed = validation.load_embedder(str(path))
        images = np.full((3, 16, 16, 3), 0.5, "f4")
        self.assert_close(embed(images), np.full((3, 3), 0.75, "f4"))
        embed = validation.load_embedder(str(path), "signed")
        self.assert_close(embed(images), np.full((3, 3), 0.5, "f4"))
        with self.assertRaisesRegex(InputError, "no such file"):
            validation.load_embedder(str(self.tempdir() / "none.keras"))


class SamplesTest(testing.TestCase):
    def test_grid_of_any_size(self):
        targets = np.full((2, 4, 4, 3), -1.0, "f4")
        sources = np.full((3, 4, 4, 3), 1.0, "f4")
        vectors = np.arange(6.0).reshape(3, 2)

        def generator(feeds):
            added = 0.2 * feeds["identity"][:, :1, None, None]
            return {"swapped": feeds["target"] + added}

        rows, columns = Pairs(targets, targets), Pairs(sources, sources, vectors)
        picture = samples.swap_grid(generator, rows, columns)
        self.assertEqual(picture.shape, (18, 24, 3))
        self.assertEqual(picture[0, 0, 0], 255)  # the corner is empty
        self.assertEqual((picture[6, 0, 0], picture[0, 6, 0]), (0, 255))
        # Source k adds 0.4 k: from -1 to -1, -0.6 and -0.2.
        self.assertEqual([int(picture[12, 6 * k, 0]) for k in (1, 2, 3)], [0, 51, 102])

    def test_masks(self):
        random = np.random.default_rng(0)
        targets = random.uniform(-1, 1, (2, 16, 16, 3)).astype("f4")
        vectors = random.normal(size=(2, tiny.VECTOR)).astype("f4")
        generator = build_generator(tiny.GENERATOR)
        picture = samples.mask_maps(generator, Pairs(targets, targets, vectors))
        self.assertEqual(picture.shape, (32, 32, 3))  # two targets, one AFFA block
        mask = [layer for layer in generator.layers if layer.name == "fuse8_affa1_mask"]
        tap = keras.Model(generator.inputs, mask[0].output)
        expected = np.asarray(tap([targets, vectors])).mean(-1)
        self.assertAlmostEqual(picture[0, 16, 0] / 255, expected[0, 0, 0], delta=3e-3)
        self.assertAlmostEqual(picture[31, 31, 0] / 255, expected[1, 7, 7], delta=3e-3)

    def test_no_masks_no_picture(self):
        config = dataclasses.replace(tiny.GENERATOR, up_types=("concat",) * 3)
        self.assertIsNone(
            samples.mask_maps(
                build_generator(config), Pairs(*np.zeros((2, 1, 16, 16, 3)))
            )
        )

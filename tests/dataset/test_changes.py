"""Tests of augmentation, distortion, triplets, outliers, contact sheets, inspection."""

import cv2
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from facedancer import cli
from facedancer.dataset import inspect_shards, outliers
from facedancer.dataset.augmentation import colour, distortion
from facedancer.dataset.reading import pairs, triplets
from facedancer.dataset.shards import records
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.imaging import contact_sheet, images
from tests import testing
from tests.dataset import fixtures


def picture(seed=0, height=40, width=32):
    random = np.random.default_rng(seed)
    small = random.uniform(30, 220, (5, 4, 3)).astype(np.float32)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return large.clip(0, 255).astype(np.uint8)


class JitterTest(testing.TestCase):
    @parameterized.parameters(
        ((0.5, 0.5, 0.5),), ((0.9, 0.5, 0.5),), ((0.5, 0.0, 0.5),), ((0.1, 0.8, 0.99),)
    )
    def test_against_the_formula(self, draws):
        image = picture()
        brightness = 0.3 * (draws[0] - 0.5)
        contrast, saturation = 0.9 + 0.2 * draws[1], 0.9 + 0.2 * draws[2]
        unit = image / 255.0 + brightness
        mean = unit.mean(axis=(0, 1))
        unit = (unit - mean) * contrast + mean
        grey = (unit @ [0.299, 0.587, 0.114])[..., None]
        expected = 255 * np.clip(grey + (unit - grey) * saturation, 0, 1)
        draws = np.array(draws)
        actual = colour.apply_map(image, colour.jitter_map(image, draws))
        self.assertEqual(actual.dtype, np.uint8)
        np.testing.assert_allclose(actual, expected, atol=0.65)  # 10-bit arithmetic

    def test_the_middle_draw_changes_nothing(self):
        colour_map = colour.jitter_map(picture(), np.full(3, 0.5))
        found = colour.apply_map(picture(), colour_map)
        np.testing.assert_array_equal(found, picture())

    def test_legacy_is_unclipped_and_shared_by_the_batch(self):
        image = np.full((3, 4, 6, 3), 0.95, np.float32)
        changed = [colour.jitter_legacy(image, (0, seed)).numpy() for seed in range(8)]
        for one in changed:
            np.testing.assert_allclose(one, np.broadcast_to(one[:1], one.shape))
        self.assertGreater(max(one.max() for one in changed), 1.0)
        theirs = tf.image.stateless_random_brightness(image, 0.3, (0, 3))
        theirs = tf.image.stateless_random_contrast(theirs, 0.9, 1.1, (0, 3))
        theirs = tf.image.stateless_random_saturation(theirs, 0.9, 1.1, (0, 3))
        np.testing.assert_allclose(changed[3], theirs)

    def test_grey(self):
        image = colour.grey(picture())
        np.testing.assert_array_equal(image[..., 0], image[..., 2])


class DistortionTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.random = np.random.default_rng(0)

    def test_affine_moves_image_and_mask_alike(self):
        image = picture(height=48, width=64)
        mask = (image[..., 0] > 120).astype(np.uint8) * 255
        both = np.dstack([image, mask])
        one = distortion.random_affine([image, mask], np.random.default_rng(1))
        two = distortion.random_affine([both], np.random.default_rng(1))[0]
        np.testing.assert_array_equal(one[0], two[..., :3])
        np.testing.assert_array_equal(one[1], two[..., 3])
        self.assertFalse(np.array_equal(one[0], image))

    def test_affine_that_does_nothing_or_mirrors(self):
        image = picture(height=48, width=64)
        still = distortion.AffineRange(0.0, (1.0, 1.0), 0.0, 0.0)
        result = distortion.random_affine([image], self.random, still)[0]
        np.testing.assert_array_equal(result, image)
        mirror = distortion.AffineRange(0.0, (1.0, 1.0), 0.0, 1.0)
        result = distortion.random_affine([image], self.random, mirror)[0]
        np.testing.assert_array_equal(result, image[:, ::-1])

    def test_warp_of_a_ramp(self):
        """On a linear ramp the straight crop is one too, and the warped one is near."""
        columns = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))
        warped, straight = distortion.random_warp(columns, 64, self.random)
        self.assertEqual(warped.shape, (64, 64, 3))
        slope = np.diff(straight[32, :, 0].astype(float)).mean()
        # 156 to 194 of 256 pixels fall on 64
        self.assertBetween(slope, 150 / 63, 200 / 63)
        difference = np.abs(warped.astype(float) - straight)
        self.assertBetween(difference.mean(), 0.5, 8.0)

    def test_warp_without_noise_is_the_straight_crop(self):
        class Still:
            def uniform(self, low, high):
                return (low + high) / 2

            def normal(self, mean, sigma, shape):
                return np.zeros(shape)

        image = picture(height=256, width=256)
        warped, straight = distortion.random_warp(image, 64, Still())
        np.testing.assert_allclose(warped.astype(int), straight.astype(int), atol=1)

    def test_colour_match_reaches_the_other(self):
        class Fully:
            values = [0.9, 1.0]  # RGB, all the way

            def random(self):
                return self.values.pop(0)

        image = np.random.default_rng(0).normal(90, 8, (64, 64, 3)).astype(np.uint8)
        other = np.random.default_rng(1).normal(150, 16, (32, 48, 3)).astype(np.uint8)
        matched = distortion.match_colour(image, other, Fully())
        middle, goal = matched[15:49, 15:49], other[8:24, 11:37]
        np.testing.assert_allclose(
            middle.mean(axis=(0, 1)), goal.mean(axis=(0, 1)), atol=0.6
        )
        np.testing.assert_allclose(
            middle.std(axis=(0, 1)), goal.std(axis=(0, 1)), atol=0.6
        )

    def test_colour_match_in_xyz_with_itself_changes_nothing(self):
        image = picture()
        for seed in range(4):
            matched = distortion.match_colour(image, image, np.random.default_rng(seed))
            np.testing.assert_allclose(matched.astype(int), image, atol=1)

    def test_motion_blur(self):
        dot = np.zeros((41, 41, 3), np.uint8)
        dot[20, 20] = 220
        one, two = distortion.motion_blur([dot, dot], self.random)
        np.testing.assert_array_equal(one, two)
        rows, columns = np.nonzero(one[..., 0])
        self.assertBetween(max(np.ptp(rows), np.ptp(columns)) + 1, 4, 11)
        self.assertAlmostEqual(int(one[..., 0].sum()), 220, delta=len(rows))

    def test_corruption_stays_in_the_mask(self):
        image = np.random.default_rng(1).integers(0, 255, (80, 80, 3), dtype=np.uint8)
        mask = np.zeros((80, 80))
        mask[20:60, 20:60] = 1
        for seed in range(12):  # both kinds
            result = distortion.corrupt(image, mask, np.random.default_rng(seed))
            np.testing.assert_array_equal(result[:12], image[:12])
            inside = np.s_[30:50, 30:50]
            change = np.abs(result[inside].astype(int) - image[inside]).mean()
            self.assertGreater(change, 20)


class TripletsTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        fixtures.write_shard(
            self.folder / "photos/a_train_00000-of-00001.records", [0] * 6
        )
        examples = [
            records.encode_example(
                {
                    "source": fixtures.coded(100 + n),
                    "target": fixtures.coded(150 + n),
                    "truth": fixtures.coded(200 + n),
                    "source_is_real": n % 2,
                }
            )
            for n in range(4)
        ]
        records.write_records(self.folder / "t/t_x_00000-of-00001.records", examples)

    def batches(self, count, first_batch=0, batch_size=8, **options):
        options = {"flip": 0.0, "augment": False} | options
        photos = pairs.PairSettings(str(self.folder / "photos"), batch_size, 16)
        settings = triplets.TripletSettings(photos, str(self.folder / "t"), **options)
        dataset = triplets.make_dataset(settings, first_batch)
        return [{k: v.numpy() for k, v in b.items()} for b in dataset.take(count)]

    def test_rows(self):
        share = []
        for batch in self.batches(40):
            red = {
                role: np.rint(batch[role][:, 0, 0, 0] * 127.5 + 127.5).astype(int)
                for role in triplets.ROLES
            }
            known = red["source"] >= 100
            share.append(known.mean())
            np.testing.assert_array_equal(
                red["target"][known], red["source"][known] + 50
            )
            np.testing.assert_array_equal(
                red["truth"][known], red["source"][known] + 100
            )
            np.testing.assert_array_equal(batch["has_truth"][known], 1.0)
            np.testing.assert_array_equal(batch["same"][known], 0.0)
            np.testing.assert_array_equal(
                batch["source_is_real"][known], red["source"][known] % 2
            )
            same = batch["same"] == 1.0
            np.testing.assert_array_equal(batch["truth"][same], batch["target"][same])
            unknown = batch["has_truth"] == 0.0
            np.testing.assert_array_equal(batch["truth"][unknown], -1.0)
        self.assertAlmostEqual(np.mean(share), 0.3, delta=0.08)

    def test_truth_follows_the_target(self):
        for batch in self.batches(12, triplet_ratio=0.0, flip=0.5, augment=True):
            same = batch["same"] == 1.0
            np.testing.assert_array_equal(batch["truth"][same], batch["target"][same])
            unknown = batch["has_truth"] == 0.0
            np.testing.assert_array_equal(batch["truth"][unknown], -1.0)

    def test_exact_resume(self):
        options = {"flip": 0.5, "augment": True}
        whole, rest = self.batches(6, **options), self.batches(2, 4, **options)
        for one, two in zip(whole[4:], rest, strict=True):
            for name in one:
                np.testing.assert_array_equal(one[name], two[name])

    def test_bad_input(self):
        photos = pairs.PairSettings(str(self.folder / "photos"), 2, 16)
        with self.assertRaisesRegex(ValueError, "triplet_ratio"):
            triplets.TripletSettings(photos, "x", triplet_ratio=2.0)
        settings = triplets.TripletSettings(photos, str(self.folder / "photos"))
        with self.assertRaisesRegex(InputError, "source, target, truth are missing"):
            triplets.make_dataset(settings)


class OutliersTest(testing.TestCase):
    def test_the_stranger_is_found(self):
        random = np.random.default_rng(0)
        person, stranger = random.normal(size=(2, 64))
        vectors = np.stack([person + 0.5 * random.normal(size=64) for _ in range(6)])
        vectors[2] = stranger
        vectors[4] = 3 * (stranger + 0.2 * random.normal(size=64))
        found = outliers.find_outliers(vectors, 0.3)
        self.assertEqual(np.flatnonzero(found).tolist(), [2, 4])
        self.assertFalse(outliers.find_outliers(vectors, -1.0).any())
        self.assertEqual((~outliers.find_outliers(vectors, 1.0)).sum(), 2)

    def test_similarities_by_hand(self):
        vectors = np.array([[2.0, 0.0], [0.0, 1.0], [5.0, 0.0]])
        root = np.sqrt(0.5)
        np.testing.assert_allclose(outliers.similarities(vectors), [root, 0.0, root])

    def test_files_are_moved(self):
        data = self.tempdir() / "aligned"
        for person, reds in {"ann": (10, 12, 200, 11), "bob": (90, 10)}.items():
            for number, red in enumerate(reds):
                image = np.zeros((24, 24, 3), np.uint8)
                image[..., 0], image[..., 1] = red, 255 - red
                images.write_image(data / person / f"{number}.png", image)

        def embed(crops):
            return crops.astype(float).mean(axis=(1, 2)) - 128

        settings = outliers.OutlierSettings(str(data), "x", dry_run=True)
        self.assertEqual(outliers.move_outliers(settings, embed), ["ann/2.png"])
        self.assertTrue((data / "ann/2.png").exists())
        settings = outliers.OutlierSettings(str(data), "x")
        outliers.move_outliers(settings, embed)
        self.assertFalse((data / "ann/2.png").exists())
        self.assertTrue((data.parent / "aligned.outliers/ann/2.png").exists())
        self.assertTrue((data.parent / "aligned.outliers.contact_sheet.jpg").exists())

    def test_shrunken_crops_are_cut_to_their_middle(self):
        folder = self.tempdir()
        self.assertEqual(outliers.alignment_shrink(str(folder)), 1.0)
        summary = folder / "summary.json"
        summary.write_text(
            '{"settings": {"template": "arcface", "shrink_factor": 0.75}}'
        )
        self.assertEqual(outliers.alignment_shrink(str(folder)), 0.75)
        crop = np.arange(64 * 64 * 3).reshape(64, 64, 3)
        np.testing.assert_array_equal(outliers.centre(crop, 0.75), crop[8:56, 8:56])
        np.testing.assert_array_equal(outliers.centre(crop, 1.0), crop)
        summary.write_text('{"settings": {"template": "ffhq"}}')
        with self.assertRaisesRegex(
            InputError, "identity encoders need it.*template ffhq"
        ):
            outliers.alignment_shrink(str(folder))

    @parameterized.parameters(
        ({"min_similarity": 2.0}, "min_similarity"), ({"min_photos": 2}, "min_photos")
    )
    def test_bad_values(self, options, words):
        with self.assertRaisesRegex(ValueError, words):
            outliers.OutlierSettings("a", "b", **options)


class ContactSheetTest(testing.TestCase):
    def test_sheet(self):
        red = np.zeros((10, 20, 3), np.uint8)
        red[..., 0] = 255
        sheet = contact_sheet.contact_sheet([(red, "a")] * 5, columns=3, side=32)
        self.assertEqual(sheet.shape, (2 * (32 + 14), 3 * 32, 3))
        self.assertEqual(sheet[16, 16].tolist(), [255, 0, 0])
        self.assertEqual(sheet[2, 16].tolist(), [255, 255, 255])  # beside the picture
        with self.assertRaisesRegex(ValueError, "at least one picture"):
            contact_sheet.contact_sheet([])

    def test_mark(self):
        image = np.zeros((40, 40, 3), np.uint8)
        points = alignment.template(40)
        marked = contact_sheet.mark_face(image, (5, 5, 30, 30), points)
        self.assertEqual(image.max(), 0)
        x, y = np.rint(points[0]).astype(int)
        self.assertEqual(marked[y, x].tolist(), [0, 255, 0])


class InspectTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        self.file = self.folder / "a_train_00000-of-00001.records"
        fixtures.write_shard(self.file, [0, 0, 3, 3, 3], size=(20, 12))

    def run_main(self, *words):
        words = [f"--data_dir={self.folder}", *words]
        return inspect_shards.main(cli.parse(inspect_shards.InspectSettings, words))

    def test_contents(self):
        found, picked = inspect_shards.inspect([str(self.file)], pictures=3)
        self.assertEqual(found.count, 5)
        self.assertEqual(found.identities, {"0": 2, "3": 3})
        self.assertEqual(found.sizes, {(20, 12): 5})
        self.assertEqual(found.formats, {"png": 5})
        self.assertEqual(found.features, {"face": 5, "identity": 5, "path": 5})
        self.assertLen(picked, 3)
        text = "\n".join(inspect_shards.describe("a", [str(self.file)], found))
        self.assertIn("5 photos in 1 shards", text)
        self.assertIn("identities: 2, photos of each 2 to 3", text)
        self.assertIn("12x20: 5", text)

    def test_pictures_and_status(self):
        output = self.tempdir() / "look"
        self.assertEqual(self.run_main(f"--output={output}"), cli.DONE)
        names = sorted(path.name for path in output.iterdir())
        self.assertEqual(
            names, ["a_train.contact_sheet.jpg", "a_train.distributions.png"]
        )
        sheet = images.read_image(output / names[0])
        self.assertEqual(sheet.shape, (142, 5 * 128, 3))

    def test_damage_is_named(self):
        data = bytearray(self.file.read_bytes())
        data[records.scan(self.file)[2] + 30] ^= 1
        self.file.write_bytes(data)
        found, _ = inspect_shards.inspect([str(self.file)])
        self.assertEqual(found.count, 2)
        self.assertIn("record 2: checksum", found.damaged[0])
        self.assertEqual(self.run_main(), cli.PARTIAL)

"""Tests of facedancer.video_swap.swapping.swapper, identities and angles."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import arcface_model
from facedancer.arcface_model.loading import load_embedder
from facedancer.errors import InputError
from facedancer.face import alignment, face_classes
from facedancer.face.faces import Faces
from facedancer.imaging import images
from facedancer.networks.contract import (
    INPUTS,
    IdentityInput,
    InputContract,
    SwapContract,
)
from facedancer.video_swap.compositing import masks, pixel_boost
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.swapping import feeds, identities, swapper
from tests import testing
from tests.video_swap import made

BOTH = ((made.RED, 10, 20, 40), (made.GREEN, 100, 30, 32))


def middle_of(image, square):
    """Mean colour in the middle of a square."""
    _, left, top, side = square
    x, y = left + side // 2, top + side // 2
    return image[y - 3 : y + 4, x - 3 : x + 4].mean(axis=(0, 1))


class FaceSwapperTest(testing.TestCase):
    def assert_colours(self, image, *expected):
        for square, colour in zip(BOTH, expected, strict=True):
            found = middle_of(image, square)
            self.assert_close(found, np.array(colour, float), atol=2.0)

    def test_all_faces(self):
        frame = made.scene(*BOTH)
        before = frame.copy()
        result = made.make_swapper().swap_frame(frame)
        self.assert_colours(result.image, made.BLUE, made.BLUE)
        self.assertEqual(result.rules, [0, 0])
        np.testing.assert_array_equal(frame, before)  # the caller's frame is kept
        np.testing.assert_array_equal(result.image[:15], frame[:15])

    def test_output_that_is_not_finite(self):
        bad = made.make_swapper()
        bad.engine = made.named(lambda targets, _: np.full_like(targets, np.nan))
        with self.assertRaisesRegex(InputError, "values that are not finite"):
            bad.swap_frame(made.scene(*BOTH))

    def test_many_to_many(self):
        rules = [
            identities.Rule(
                "red", made.identity_of(made.RED), made.identity_of(made.BLUE)
            ),
            identities.Rule(
                "green", made.identity_of(made.GREEN), made.identity_of(made.RED)
            ),
        ]
        result = made.make_swapper(rules).swap_frame(made.scene(*BOTH))
        self.assert_colours(result.image, made.BLUE, made.RED)
        self.assertCountEqual(result.rules, [0, 1])

    def test_only_and_except(self):
        red, blue = made.identity_of(made.RED), made.identity_of(made.BLUE)
        only = made.make_swapper([identities.Rule("only", red, blue)])
        image = only.swap_frame(made.scene(*BOTH)).image
        self.assert_colours(image, made.BLUE, made.GREEN)
        rules = [identities.Rule("no", red, None), identities.Rule("all", None, blue)]
        image = made.make_swapper(rules).swap_frame(made.scene(*BOTH)).image
        self.assert_colours(image, made.RED, made.BLUE)

    def test_order_is_among_those_who_are_not_spared(self):
        red, blue = made.identity_of(made.RED), made.identity_of(made.BLUE)
        rules = [identities.Rule("all", None, blue), identities.Rule("no", red, None)]
        for order in ("largest", "left", "top", "all"):  # without the rule: the red one
            tool = made.make_swapper(rules, faces=order)
            result = tool.swap_frame(made.scene(*BOTH))
            self.assert_colours(result.image, made.RED, made.BLUE)
            self.assertCountEqual(result.rules, [0, None])
        result = tool.swap_frame(made.scene(BOTH[0]))
        self.assertEqual(result.rules, [None])

    @parameterized.parameters(
        ("largest", made.BLUE, made.GREEN),
        ("left", made.BLUE, made.GREEN),
        ("right", made.RED, made.BLUE),
        ("bottom", made.RED, made.BLUE),
        ("top", made.BLUE, made.GREEN),
    )
    def test_order(self, order, red_becomes, green_becomes):
        result = made.make_swapper(faces=order).swap_frame(made.scene(*BOTH))
        self.assert_colours(result.image, red_becomes, green_becomes)

    def test_batch_equals_one_by_one(self):
        calls = []

        def engine(targets, vectors):
            calls.append(len(targets))
            return made.colour_engine(targets, vectors)

        tool = made.make_swapper(engine=engine)
        frames = made.moving_scenes(3) + [made.scene()]
        jobs = [
            [swapper.FaceJob(points, 0) for points in faces.landmarks]
            for faces in tool.detect([Rgb(frame) for frame in frames])
        ]
        together = tool.swap_frames(frames, jobs)
        self.assertEqual(calls, [3])
        for frame, some, result in zip(frames, jobs, together, strict=True):
            np.testing.assert_array_equal(tool.swap_frames([frame], [some])[0], result)
        self.assertIs(together[3], frames[3])

    @parameterized.product(
        mask=("face", "legacy"),
        colour=("none", "lab"),
        sharpen=(0.0, 0.5),
        refine=("none", "detail"),
        match_sharpness=(False, True),
    )
    def test_target_given_back_leaves_the_photo(self, **settings):
        frame = made.background(200, 120)
        points = alignment.template(60) + [70, 30]
        tool = made.make_swapper(engine=made.copying_engine, **settings)
        result = tool.swap_frames([frame], [[swapper.FaceJob(points, 0)]])[0]
        self.assertLessEqual(np.abs(result.astype(int) - frame).max(), 3)

    def test_pixel_boost_keeps_detail(self):
        random = np.random.default_rng(0)
        frame = random.integers(0, 255, (280, 300, 3)).astype(np.uint8)
        job = swapper.FaceJob(alignment.template(256) + [20, 10], 0)
        errors = []
        for boost in (1, 4):
            tool = made.make_swapper(engine=made.copying_engine, pixel_boost=boost)
            result = tool.swap_frames([frame], [[job]])[0]
            errors.append(np.abs(result.astype(int) - frame).mean())
        self.assertLess(errors[1], 0.2 * errors[0])

    def test_near_face_lies_above_the_far_one(self):
        far = swapper.FaceJob(alignment.template(40) + [40, 30], 0)
        near = swapper.FaceJob(alignment.template(70) + [50, 20], 1)
        rules = [
            identities.Rule("far", None, made.identity_of(made.GREEN)),
            identities.Rule("near", None, made.identity_of(made.BLUE)),
        ]
        tool = made.make_swapper(rules)
        frame = made.scene()
        for jobs in ([far, near], [near, far]):
            image = tool.swap_frames([frame], [jobs])[0]
            self.assert_close(image[57, 72], np.array(made.BLUE, float), atol=25)

    def test_no_source_is_refused(self):
        rule = identities.Rule("nobody", made.identity_of(made.RED), None)
        with self.assertRaisesRegex(InputError, "no source: give --swap_source"):
            made.make_swapper([rule])

    @parameterized.parameters(
        ({"faces": "some"}, "`faces` must be one of all"),
        ({"mask": "square"}, "`mask` must be one of"),
        ({"colour": "sepia"}, "`colour` must be one of none"),
        ({"strength": 3.0}, "`strength` must lie in"),
        ({"pixel_boost": 9}, "`pixel_boost` must lie in"),
    )
    def test_settings_are_checked(self, values, words):
        with self.assertRaisesRegex(ValueError, words):
            swapper.SwapSettings(**values)


class OutputsTest(testing.TestCase):
    def test_where_the_target_is_let_through_it_stays(self):
        def engine(targets, vectors):
            mask = np.full((*targets.shape[:3], 1), 0.8, np.float32)
            mask[:, :, 32:] = 0.1  # the right half is covered, says the generator
            painted = made.colour_engine(targets, vectors)
            return {"swapped": painted, "fusion_mask": mask}

        frame = np.full((100, 120, 3), 90, np.uint8)
        job = swapper.FaceJob(alignment.template(60) + [30, 20], 0)
        for boost in (1, 2):
            tool = made.make_swapper(engine=engine, pixel_boost=boost)
            image = tool.swap_frames([frame], [[job]])[0]
            self.assert_close(image[55, 48], np.array(made.BLUE), atol=8)
            self.assertLess(np.abs(image[55, 72].astype(int) - 90).max(), 8)

    def test_a_fusion_mask_that_says_nothing_changes_nothing(self):
        mask = masks.legacy_mask(64)
        for fusion_mask in (np.zeros((64, 64)), np.full((64, 64), 0.7)):
            visible = masks.visible_by_fusion(fusion_mask, mask)
            self.assert_close(visible, np.ones((64, 64), np.float32))

    def test_alpha_multiplies_the_mask_and_other_outputs_do_not(self):
        mask = masks.legacy_mask(64)
        alpha = np.linspace(-0.5, 1.5, 64, dtype=np.float32)[None, :, None]
        alpha = np.repeat(alpha, 64, axis=0)
        made_of = {"swapped": alpha, "alpha": alpha, "image64": alpha}
        expected = mask * np.clip(alpha[..., 0], 0, 1)
        self.assert_close(masks.by_outputs(made_of, mask), expected)
        self.assert_close(masks.by_outputs({"swapped": alpha}, mask), mask)

    def test_an_input_that_nothing_makes_is_refused(self):
        contract = SwapContract(InputContract(64, "signed"))
        with mock.patch.dict(feeds.FEEDS):
            del feeds.FEEDS["identity"]
            with self.assertRaisesRegex(InputError, "wants identity; swapping makes"):
                feeds.check(contract)

    def test_every_input_of_a_contract_is_made(self):
        self.assertEqual(set(feeds.FEEDS), set(INPUTS))

    def test_masks_and_reference(self):
        landmarks, picture = alignment.template(64), np.full((32, 32, 3), 51, np.uint8)
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        classes = np.full((32, 32), face_classes.SKIN, np.uint8)
        classes[:8] = face_classes.HAIR
        (x, y), _ = np.rint(landmarks[:2] / 2).astype(int)
        classes[y - 2 : y + 3, x - 2 : x + 3] = face_classes.RIGHT_EYE
        crop = swapper.Crop(
            noise,
            np.eye(2, 3),
            landmarks,
            np.ones(2),
            np.zeros((0, 5, 2)),
            picture,
            classes,
        )
        inputs = ("masked_target", "semantic_mask", "reference", "identity")
        contract = SwapContract(
            InputContract(32, "unit"), IdentityInput(size=2), inputs
        )
        made_of = feeds.make([crop], contract, boost=2)
        self.assertEqual([len(made_of[name]) for name in inputs], [4] * 4)
        self.assert_close(made_of["reference"], np.full((4, 32, 32, 3), 0.2))
        parts = pixel_boost.merge(made_of["semantic_mask"], 2)
        for (x, y), expected in (
            (landmarks[0], [1, 1, 1]),  # an eye, white
            (landmarks[2] - [0, 3], [1, 1, 0]),  # the line of the nose
            (landmarks[3] + [6, 0], [0, 0, 1]),  # skin
            ((32, 2), [1, 1, 170 / 255]),  # hair
        ):
            found = parts[round(y), round(x)]
            self.assert_close(found, np.array(expected), atol=0.02)
        masked = pixel_boost.merge(made_of["masked_target"], 2)
        self.assert_close(masked[:10], crop.image[:10] / 255.0, atol=0.02)
        self.assertLess(masked[30:50, 20:44].std(), 0.05)  # noise before
        self.assertGreater(crop.image[30:50, 20:44].std() / 255, 0.25)
        with self.assertRaisesRegex(ValueError, "Nothing parsed the crop"):
            feeds.make([dataclasses.replace(crop, classes=None)], contract, boost=2)

    def test_feeds_by_the_contract(self):
        white = np.full((8, 8, 3), 255, np.uint8)
        vector, nowhere = np.array([3.0, 4.0]), np.zeros((1, 5, 2))
        crop = swapper.Crop(white, np.eye(2, 3), *nowhere[:1], vector, nowhere[:0])
        contract = SwapContract(
            InputContract(4, "unit"), IdentityInput(size=2, unit=True)
        )
        made_of = feeds.make([crop, crop], contract, boost=2)
        self.assertEqual(made_of["target"].shape, (8, 4, 4, 3))
        self.assertEqual(made_of["target"].max(), 1.0)
        self.assert_close(made_of["identity"], np.tile([0.6, 0.8], (8, 1)))
        labelled = SwapContract(
            InputContract(8, "unit"), IdentityInput("label", 2), ("target", "label")
        )
        person = dataclasses.replace(crop, identity=1)
        made_of = feeds.make([person], labelled, boost=1)
        self.assertEqual(made_of["label"].tolist(), [[1]])
        self.assertNotIn("identity", made_of)


class IdentityReaderTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        self.reader = identities.IdentityReader(
            made.SquareDetector(), made.ColourEmbedder()
        )

    def write(self, name, *squares):
        return images.write_image(self.folder / name, made.scene(*squares))

    def test_largest_face_of_a_photo(self):
        found = self.reader.read([self.write("a.png", *BOTH)])
        self.assert_close(found, made.identity_of(made.RED), atol=2)

    def test_mean_of_several_photos_and_folders(self):
        self.write("a.png", BOTH[0])
        self.write("b.png", BOTH[1])
        self.write("landscape.png")
        found = self.reader.read([self.folder])
        red, green = made.identity_of(made.RED), made.identity_of(made.GREEN)
        mean = red / np.linalg.norm(red) + green / np.linalg.norm(green)
        cosine = found @ mean / np.linalg.norm(found) / np.linalg.norm(mean)
        self.assertAlmostEqual(float(cosine), 1.0, delta=1e-3)

    def test_photo_without_a_face(self):
        path = self.write("a.png")
        with self.assertRaisesRegex(InputError, "a.png: no face was found"):
            self.reader.read([path])
        with self.assertRaisesRegex(InputError, "no face was found in any"):
            self.reader.read([self.folder])
        with self.assertRaisesRegex(InputError, "At least one photo"):
            self.reader.read([])

    def test_aligned_crop_is_taken_as_it_is(self):
        crop = np.full((50, 50, 3), made.GREEN, np.uint8)
        path = images.write_image(self.folder / "crop.png", crop)
        reader = identities.IdentityReader(
            made.SquareDetector(), made.ColourEmbedder(), align=False
        )
        self.assert_close(reader.read([path]), made.identity_of(made.GREEN))

    @pytest.mark.slow
    def test_threshold_of_known_and_unknown_encoders(self):
        real = arcface_model.build_resnet50(12, 32, width=4).name_with_hash
        self.assertEqual(identities.default_threshold(real), 0.30)
        real = arcface_model.build_mobilefacenet(
            12, 16, blocks=(1, 1, 1)
        ).name_with_hash
        self.assertEqual(identities.default_threshold(real), 0.35)
        packaged = load_embedder().encoder.name_with_hash
        self.assertEqual(identities.default_threshold(packaged), 0.28)
        self.assertEqual(identities.default_threshold("other@1234"), 0.35)


class ChooseTest(testing.TestCase):
    def test_best_reference_wins_if_it_is_near_enough(self):
        one, two = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
        rules = [
            identities.Rule("one", one, one),
            identities.Rule("two", two, two),
        ]
        faces = np.array([[2.0, 1.0, 0], [1.0, 3.0, 0], [0, 0.1, 1.0]])
        self.assertEqual(identities.choose(faces, rules, 0.3, 3), [0, 1, None])
        rules.append(identities.Rule("rest", None, one))
        self.assertEqual(identities.choose(faces, rules, 0.3, 3), [0, 1, 2])
        self.assertEqual(identities.choose(None, rules[2:], 0.3, 2), [0, 0])

    def at(self, *cosines):
        """An embedding with these cosines to the unit vectors of the first axes."""
        rest = 1.0 - np.square(cosines).sum()
        return 3.0 * np.array([*cosines, rest**0.5])

    def test_a_reference_takes_one_face(self):
        one, two = np.eye(3)[:2]
        rules = [identities.Rule("one", one, one)]
        faces = np.stack([self.at(0.51, 0.1), self.at(0.88, 0.2), self.at(0.1, 0.2)])
        self.assertEqual(identities.choose(faces, rules, 0.3, 3), [None, 0, None])
        rules.append(identities.Rule("rest", None, two))
        self.assertEqual(identities.choose(faces, rules, 0.3, 3), [1, 0, 1])
        rules.append(identities.Rule("one again", one + 0.1 * two, one))
        self.assertEqual(identities.choose(faces, rules, 0.3, 3), [1, 2, 1])
        self.assertEqual(identities.choose(faces[:1], rules[:1], 0.3, 1), [0])

    def test_who_is_not_to_be_swapped_is_not(self):
        one, two = np.eye(3)[:2]
        swap, spare = (identities.Rule("x", one, s) for s in (one, None))
        faces = np.stack([self.at(0.88, 0.1), self.at(0.5, 0.8), self.at(0.2, 0.1)])
        for rules, at in (([swap, spare], 1), ([spare, swap], 0)):
            self.assertEqual(identities.choose(faces, rules, 0.3, 3), [at, at, None])
        rules = [identities.Rule("two", two, two), spare]
        self.assertEqual(identities.choose(faces, rules, 0.3, 3), [1, 0, None])
        rules = [identities.Rule("rest", None, two), spare]
        self.assertEqual(identities.choose(faces, rules, 0.3, 3), [1, 1, 0])
        doubtful = np.stack([self.at(0.5, 0.53)])
        rules = [identities.Rule("two", two, two), spare]
        self.assertEqual(identities.choose(doubtful, rules, 0.3, 1), [1])

    def test_unknown_order(self):
        with self.assertRaisesRegex(ValueError, "must be one of"):
            identities.keep_by_order(Faces.empty(), "tallest")

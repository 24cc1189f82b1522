"""Tests of `video_swap.compositing`: paste, masks, pixel_boost, colour_transfer."""

import functools
from unittest import mock

import cv2
import numpy as np
from absl.testing import parameterized

from facedancer.evaluation.settings import EvaluateSettings
from facedancer.face import alignment
from facedancer.video_swap import settings
from facedancer.video_swap.compositing import (
    colour_transfer,
    mask_kinds,
    masks,
    paste,
    pixel_boost,
)
from tests import testing


def photo(height=120, width=200):
    """A smooth picture that differs everywhere."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    parts = [x / width, y / height, (x + y) / (height + width)]
    return np.rint(40 + 170 * np.stack(parts, axis=-1)).astype(np.uint8)


class PasteTest(testing.TestCase):
    @parameterized.named_parameters(
        # name, scale of the crop, degrees, centre of the face in the frame
        ("enlarged", 0.5, 0, (100, 60)),
        ("same_size", 1.0, 30, (100, 60)),
        ("made_smaller", 4.0, 0, (100, 60)),
        ("upside_down", 1.3, 180, (90, 70)),
        ("beyond_the_border", 1.0, -20, (5, 3)),
    )
    def test_crop_then_paste_returns_the_photo(self, scale, degrees, centre):
        frame, size = photo(), 64
        angle = np.deg2rad(degrees)
        linear = scale * np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        shift = np.array([31.5, 31.5]) - linear @ np.array(centre)
        matrix = np.column_stack([linear, shift])
        crop = alignment.crop(frame, matrix, size)
        result = frame.copy()
        mask = masks.legacy_mask(size)
        paste.paste(result, crop.astype(np.float32), mask, matrix)
        difference = np.abs(result.astype(int) - frame)
        inside = cv2.warpAffine(
            mask, matrix, (200, 120), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        )
        self.assertGreater((inside > 0.9).sum(), 20)
        # Black from beyond the frame shows at its very edge only.
        middle = np.s_[4:-4, 4:-4]
        self.assertLessEqual(difference[middle].max(), 2)

    def test_place_is_right_to_a_tenth_of_a_pixel(self):
        frame = np.zeros((80, 100, 3), np.uint8)
        matrix = np.array([[2.5, 0.0, -2.5 * 40 + 31.5], [0.0, 2.5, -2.5 * 30 + 31.5]])
        y, x = np.mgrid[:64, :64]
        spot = 255 * np.exp(-((x - 31.5) ** 2 + (y - 31.5) ** 2) / 50.0)
        crop = np.repeat(spot[..., None], 3, axis=2).astype(np.float32)
        paste.paste(frame, crop, np.ones((64, 64), np.float32), matrix)
        weight = frame[..., 0].astype(float)
        y, x = np.mgrid[:80, :100]
        self.assertAlmostEqual((x * weight).sum() / weight.sum(), 40.0, delta=0.1)
        self.assertAlmostEqual((y * weight).sum() / weight.sum(), 30.0, delta=0.1)

    def test_outside_the_mask_no_bit_changes(self):
        frame, size = photo(), 64
        matrix = np.array([[1.0, 0, -60.3], [0, 1.0, -20.7]])
        result = frame.copy()
        mask = masks.legacy_mask(size)
        white = np.full((size, size, 3), 300.0, np.float32)  # beyond the range
        paste.paste(result, white, mask, matrix)
        warped = cv2.warpAffine(
            mask, matrix, (200, 120), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        )
        np.testing.assert_array_equal(result[warped == 0], frame[warped == 0])
        self.assertTrue((result[warped > 0.99] == 255).all())

    @parameterized.parameters(1, 200 * 7, 200 * 50)
    def test_strips_give_what_the_whole_gives(self, pixels):
        crop = np.random.default_rng(0).uniform(0, 255, (48, 48, 3)).astype("f4")
        matrix = np.array([[0.4, 0.1, -20.3], [-0.1, 0.4, 3.7]])
        mask, found = masks.legacy_mask(48), []
        for size in (1 << 22, pixels):
            with mock.patch.object(paste, "_STRIP_PIXELS", size):
                found.append(photo())
                paste.paste(found[-1], crop, mask, matrix)
        self.assertGreater((found[0] != photo()).mean(), 0.1)
        off = np.abs(found[0].astype(int) - found[1])
        # OpenCV knows a place to a thirty-second of a pixel, anew in each strip.
        self.assertLess(off.mean(), 0.1)
        self.assertLess(off.max(), 8)

    def test_face_outside_the_frame_changes_nothing(self):
        frame = photo()
        result = frame.copy()
        matrix = np.array([[1.0, 0, 500.0], [0, 1.0, 0]])
        paste.paste(
            result, np.zeros((64, 64, 3), np.float32), np.ones((64, 64)), matrix
        )
        np.testing.assert_array_equal(result, frame)

    def test_sharpen(self):
        crop = photo(64, 64).astype(np.float32)
        crop[:, 32:] += 60
        self.assert_close(paste.sharpen(crop, 0.0), crop)
        edge = np.abs(np.diff(paste.sharpen(crop, 1.0), axis=1)).max()
        self.assertGreater(edge, 1.2 * np.abs(np.diff(crop, axis=1)).max())

    def test_match_sharpness_follows_the_target(self):
        random = np.random.default_rng(0)
        sharp = random.uniform(0, 255, (64, 64, 3)).astype(np.float32)
        soft = cv2.GaussianBlur(sharp, (0, 0), 1.5)
        mask = np.ones((64, 64), np.float32)
        self.assert_close(paste.match_sharpness(sharp, sharp, mask), sharp)
        matched = paste.match_sharpness(sharp, soft, mask)
        self.assertLess(matched.std(), 1.5 * soft.std())


class MaskTest(testing.TestCase):
    def test_kinds_are_what_settings_list(self):
        landmarks = alignment.template(80)
        for name, shape in mask_kinds.MASKS.items():
            mask = shape(landmarks, 80)
            self.assertEqual((mask.shape, mask.dtype), ((80, 80), np.float32))
            self.assertBetween(float(mask[50, 40]), 0.9, 1.0, name)
            self.assertEqual(float(mask[0].max()), 0.0, name)
        records = (
            settings.SwapSettings,
            functools.partial(EvaluateSettings, out="x", data_dir="d"),
        )
        for record in records:
            with self.assertRaisesRegex(ValueError, "must be one of face, legacy"):
                record(mask="oval")
            with mock.patch.dict(mask_kinds.MASKS, {"oval": mask_kinds.face}):
                self.assertEqual(record(mask="oval").mask, "oval")

    def test_legacy_rectangle(self):
        mask = masks.legacy_mask(256)
        # A blurred step is one half at the edge: rows 77 and 240, columns 32 and 224.
        self.assertAlmostEqual(float(mask[76:78, 128].mean()), 0.5, delta=0.02)
        self.assertAlmostEqual(float(mask[128, 31:33].mean()), 0.5, delta=0.02)
        self.assertAlmostEqual(float(mask[239:241, 128].mean()), 0.5, delta=0.03)
        self.assertAlmostEqual(float(mask[150, 128]), 1.0, delta=1e-3)
        self.assertEqual(masks.legacy_mask(64).shape, (64, 64))

    def test_face_covers_eyes_and_mouth_and_fades(self):
        landmarks = alignment.template(256)
        mask = masks.face_mask(landmarks, 256)
        for x, y in np.rint(landmarks).astype(int):
            self.assertGreater(mask[y, x], 0.95)
        for border in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
            self.assertEqual(border.max(), 0.0)
        self.assertLess(np.abs(np.diff(mask, axis=0)).max(), 0.08)

    def test_profile_gets_a_narrower_mask(self):
        front = alignment.template(256)
        side = front.copy()
        side[:, 0] = 128 + 0.4 * (side[:, 0] - 128)
        self.assertLess(
            masks.face_mask(side, 256).sum(), 0.7 * masks.face_mask(front, 256).sum()
        )

    def test_eyes_in_one_place_still_give_a_mask(self):
        points = alignment.template(64)
        points[1] = points[0]
        self.assertGreater(masks.face_mask(points, 64).sum(), 50)


class PixelBoostTest(testing.TestCase):
    @parameterized.parameters(1, 2, 4)
    def test_merge_undoes_split(self, boost):
        image = np.random.default_rng(0).integers(0, 255, (16, 16, 3))
        parts = pixel_boost.split(image, boost)
        self.assertEqual(parts.shape, (boost**2, 16 // boost, 16 // boost, 3))
        np.testing.assert_array_equal(pixel_boost.merge(parts, boost), image)

    def test_parts_are_every_other_pixel(self):
        image = np.random.default_rng(0).integers(0, 255, (8, 8, 3))
        np.testing.assert_array_equal(pixel_boost.split(image, 2)[1], image[::2, 1::2])


class ColourTransferTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.swapped = random.normal((120, 90, 80), 12, (32, 32, 3)).astype("float32")
        self.target = random.normal((170, 140, 110), 20, (32, 32, 3)).clip(0, 255)
        self.mask = np.ones((32, 32), np.float32)

    def test_none_changes_nothing(self):
        result = colour_transfer.correct("none", self.swapped, self.target, self.mask)
        self.assert_close(result, self.swapped)

    @parameterized.parameters("lab", "adain", "adain_xyz", "hist_match")
    def test_mean_and_spread_follow_the_target(self, kind):
        result = colour_transfer.correct(kind, self.swapped, self.target, self.mask)
        self.assert_close(result.mean((0, 1)), self.target.mean((0, 1)), atol=4.0)
        self.assert_close(
            result.std((0, 1)), self.target.std((0, 1)), rtol=0.25, atol=0
        )

    def test_target_chroma_by_hand(self):
        red = np.zeros((16, 16, 3), np.float32) + (100.0, 0.0, 0.0)  # luma 29.9
        grey = np.full((16, 16, 3), 50.0, np.float32)
        mask = np.ones((16, 16), np.float32)
        result = colour_transfer.correct("target_chroma", red, grey, mask)
        self.assert_close(result, np.full((16, 16, 3), 29.9), rtol=1e-5)
        result = colour_transfer.correct("target_chroma", grey, red, mask)
        self.assert_close(result[0, 0], np.array([120.1, 20.1, 20.1]), rtol=1e-5)

    def test_only_the_mask_is_compared(self):
        self.mask[:, 16:] = 0.0
        self.target[:, 16:] = 0.0
        result = colour_transfer.correct("adain", self.swapped, self.target, self.mask)
        self.assert_close(
            result[:, :16].mean((0, 1)), self.target[:, :16].mean((0, 1)), atol=1e-2
        )

    def test_unknown_kind(self):
        with self.assertRaisesRegex(ValueError, "must be one of .*lab"):
            colour_transfer.correct("magic", self.swapped, self.target, self.mask)

"""Tests of `video_swap.compositing.detail`: whose detail large faces get, and where."""

import cv2
import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.video_swap.compositing import detail
from facedancer.video_swap.swapping.jobs import FaceJob, make_jobs
from facedancer.video_swap.swapping.swapper import SwapSettings
from tests.video_swap import made

SIDE, SCALE = 120, 4.0


def texture(seed, side=SIDE, spread=12.0):
    """Returns fine noise around grey, `(side, side, 3)` float32."""
    noise = np.random.default_rng(seed).normal(0.0, spread, (side, side, 3))
    return (128.0 + noise).astype(np.float32)


def energy(image):
    return float((cv2.Laplacian(image.mean(axis=2), cv2.CV_32F) ** 2).mean())


def test_where_both_agree_the_detail_is_the_targets():
    target = texture(1)
    soft = cv2.GaussianBlur(target, (0, 0), 0.6 * SCALE)
    result = detail.add_detail(soft, target, SCALE)
    inside = np.s_[20:-20, 20:-20]
    assert energy(soft[inside]) < 0.1 * energy(target[inside])
    assert energy(result[inside]) > 0.9 * energy(target[inside])
    assert np.abs(result - target)[inside].mean() < 0.35 * np.abs(soft - target).mean()


def test_where_they_differ_the_swapped_face_stays():
    target, swapped = texture(1), texture(2, spread=0.0)
    swapped[:, : SIDE // 2] += 80.0  # another colour: a beard, a brow
    result = detail.add_detail(swapped, target, SCALE)
    left, right = np.s_[:, : SIDE // 2 - 20], np.s_[:, SIDE // 2 + 20 :]
    np.testing.assert_allclose(result[left], swapped[left], atol=0.2)
    assert np.abs(result - swapped)[right].mean() > 5.0


def test_formula_by_hand():
    """At one pixel, from blurs that NumPy makes by itself."""
    target, swapped = texture(3), texture(4)

    def low(image, sigma):
        radius = int(np.ceil(4 * sigma)) + 1
        x = np.arange(-radius, radius + 1)
        kernel = np.exp(-(x**2) / (2 * sigma**2))
        kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
        part = image[60 - radius : 61 + radius, 50 - radius : 51 + radius]
        return (part * kernel[..., None]).sum(axis=(0, 1))

    sigma = 0.6 * SCALE
    distance = np.abs(low(target - swapped, 1.5 * sigma)).mean() / 15.0
    fine = target[60, 50] - low(target, sigma) - swapped[60, 50] + low(swapped, sigma)
    expected = swapped[60, 50] + np.exp(-(distance**2)) * fine
    result = detail.add_detail(swapped, target, SCALE)[60, 50]
    np.testing.assert_allclose(result, expected, atol=0.05)


@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_a_small_generator_gives_the_target_back_in_its_place(degrees):
    """A generator that copies at a quarter of the size: nothing moves."""
    rng = np.random.default_rng(5)
    frame = cv2.GaussianBlur(
        rng.integers(0, 256, (260, 340, 3)).astype(np.float32), (0, 0), 1.2
    ).astype(np.uint8)
    turn = cv2.getRotationMatrix2D((170, 130), degrees, 0.25)
    turn[:, 2] += np.array([24, 24]) - np.array([170, 130])
    swapped = alignment.crop(frame, turn, 48).astype(np.float32)
    mask = np.ones((48, 48), np.float32)
    image, large, matrix = detail.refine(frame, swapped, mask, turn)
    assert image.shape == (192, 192, 3) and large.shape == (192, 192)
    truth = alignment.crop(frame, matrix, 192).astype(np.float32)
    inside = np.s_[24:-24, 24:-24]
    soft = cv2.resize(swapped, (192, 192), interpolation=cv2.INTER_CUBIC)
    error = np.abs(image - truth)[inside].mean()
    assert error < 0.5 * np.abs(soft - truth)[inside].mean()
    shifted = np.roll(truth, 2, axis=1)
    assert error < 0.5 * np.abs(image - shifted)[inside].mean()


def test_a_face_of_the_generators_size_is_left_alone():
    frame = texture(6, 100).astype(np.uint8)
    swapped, mask = texture(7, 80), np.ones((80, 80), np.float32)
    matrix = np.array([[0.8, 0.0, 2.0], [0.0, 0.8, -1.0]])
    image, same_mask, same = detail.refine(frame, swapped, mask, matrix)
    assert image is swapped and same_mask is mask and same is matrix


def test_very_large_faces_are_bounded():
    frame = np.zeros((64, 64, 3), np.uint8)
    matrix = np.array([[0.02, 0.0, 0.0], [0.0, 0.02, 0.0]])
    image, mask, _ = detail.refine(
        frame, texture(8, 48), np.ones((48, 48), np.float32), matrix
    )
    assert image.shape == (768, 768, 3) and mask.shape == (768, 768)


def test_unknown_refiner():
    with pytest.raises(
        ValueError, match="`refine` must be one of auto, none, detail, network"
    ):
        SwapSettings(refine="magic")


class Brighter:
    """A refiner that gives the target back, a little brighter."""

    size, name = 96, "brighter"

    def refine(self, swapped, target):
        assert swapped.shape == target.shape == (96, 96, 3)
        assert swapped.dtype == np.float32 and target.dtype == np.uint8
        return target.astype(np.float32) + 4.0


@pytest.mark.parametrize("scale, side", [(1.5, 96), (2.0, 96), (6.0, 288)])
def test_a_refiner_works_at_its_own_size(scale, side):
    """Of a face beyond that size the target's fine part is added as without it."""
    frame = texture(9, 320).astype(np.uint8)
    matrix = np.array([[1 / scale, 0.0, 2.0], [0.0, 1 / scale, -1.0]])
    swapped, mask = texture(10, 48), np.full((48, 48), 0.5, np.float32)
    image, large, moved = detail.refine_by_network(
        frame, swapped, mask, matrix, Brighter()
    )
    assert image.shape == (side, side, 3) and large.shape == (side, side)
    np.testing.assert_allclose(large, 0.5)
    expected = alignment.crop(frame, moved, side).astype(np.float32) + 4.0
    inside = np.s_[8:-40, 8:-40]
    assert np.abs(image - expected)[inside].mean() < (0.01 if side == 96 else 6.0)


@pytest.mark.parametrize("apart, least, most", [(30, 0.5, 0.65), (90, 0.0, 0.02)])
def test_grain_finer_than_a_refiner_comes_over_a_difference(apart, least, most):
    """At exp(-(30 / 40)^2) = .57 of it; by the rule of coarser detail it were .02."""

    class Flat:
        size = 64

        def refine(self, swapped, target):
            return np.full_like(target, 100.0, np.float32)

    rng = np.random.default_rng(0)
    grain = rng.normal(0.0, 4.0, (256, 256, 1)).repeat(3, axis=2)
    frame = (100.0 + apart + grain).clip(0, 255).astype(np.uint8)
    matrix = np.float64([[0.25, 0, 0], [0, 0.25, 0]])
    mask = np.ones((64, 64), np.float32)
    found, _, moved = detail.refine_by_network(
        frame, np.zeros((64, 64, 3), np.float32), mask, matrix, Flat()
    )
    inside = np.s_[40:-40, 40:-40]
    target = alignment.crop(frame, moved, len(found)).astype(np.float32)
    kept = np.sqrt(energy(found[inside]) / energy(target[inside]))
    assert least <= kept <= most, kept


def test_a_refiner_leaves_small_faces_alone():
    matrix = np.array([[0.8, 0.0, 2.0], [0.0, 0.8, -1.0]])
    swapped, mask = texture(7, 80), np.ones((80, 80), np.float32)
    frame = texture(6, 100).astype(np.uint8)
    found = detail.refine_by_network(frame, swapped, mask, matrix, Brighter())
    assert found[0] is swapped and found[1] is mask and found[2] is matrix


def test_the_swapper_asks_its_refiner():
    frame = np.full((200, 240, 3), 120, np.uint8)
    job = FaceJob(alignment.template(128) + [50, 30], 0)
    results = []
    for refine in ("none", "network"):
        tool = made.make_swapper(refine=refine, refiner=Brighter())
        results.append(tool.swap_frames([frame], [[job]])[0].astype(int))
    plain, refined = results
    assert np.abs(plain - refined)[100, 110].max() > 20
    np.testing.assert_allclose(refined[100, 110], 124, atol=1)
    with pytest.raises(InputError, match="leave out --refiner_path=none"):
        made.make_swapper(refine="network")


def test_auto_asks_it_in_photos_only():
    """The refiner gives the red target back, the generator makes it blue."""
    frame = made.scene((made.RED, 40, 20, 140), size_wh=(240, 200))
    tool = made.make_swapper(refiner=Brighter())
    photo = tool.swap_frame(frame)
    jobs = make_jobs(photo.faces.landmarks, photo.rules)
    clip = tool.swap_frames([frame], [jobs])[0]
    without = made.make_swapper().swap_frame(frame).image
    np.testing.assert_allclose(photo.image[100, 110], np.add(made.RED, 4), atol=2)
    np.testing.assert_allclose(clip[100, 110], made.BLUE, atol=8)
    np.testing.assert_array_equal(without, clip)

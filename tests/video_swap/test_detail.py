"""Tests of `video_swap.compositing.detail`: whose detail large faces get, and where."""

import cv2
import numpy as np
import pytest

from facedancer import alignment
from facedancer.video_swap.compositing import detail
from facedancer.video_swap.swapping.swapper import SwapSettings

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
    with pytest.raises(ValueError, match="`refine` must be one of none, detail"):
        SwapSettings(refine="magic")

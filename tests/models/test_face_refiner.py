"""Tests of the face refiner's network, its formula, and of the ways to load one."""

import dataclasses

import cv2
import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.models.families.face_refiner import loading
from facedancer.models.families.face_refiner.blurring import GaussianBlur2D
from facedancer.models.families.face_refiner.config import FaceRefinerConfig
from facedancer.models.families.face_refiner.network import FaceRefinerNetwork
from facedancer.storage import weights
from facedancer.video_swap.swapping import converting
from tests.models.check_network import check_network, randomise

TINY = FaceRefinerConfig(32, stem=3, width=4, blocks=1, fine=0.8, coarse=2.0)


def test_files_and_precisions(tmp_path):
    check_network(FaceRefinerNetwork(TINY), tmp_path, (".keras", ".h5"))


def test_blur_is_opencvs():
    """Away from the border, and with a border of zeros."""
    image = np.random.default_rng(0).normal(size=(2, 40, 33, 3)).astype(np.float32)
    layer = GaussianBlur2D(1.7)
    found = np.asarray(layer(image))
    side = len(layer.line())
    for one, blurred in zip(image, found, strict=True):
        wide = cv2.copyMakeBorder(one, 9, 9, 9, 9, cv2.BORDER_CONSTANT)
        expected = cv2.GaussianBlur(wide, (side, side), 1.7)[9:-9, 9:-9]
        np.testing.assert_allclose(blurred, expected, atol=1e-5)
    assert layer.multiply_accumulates((None, 40, 33, 3)) == 2 * side * 40 * 33 * 3
    with pytest.raises(ValueError, match="`sigma` must be positive. Received: sigma=0"):
        GaussianBlur2D(0)


@pytest.mark.parametrize("fine, coarse", [(-30.0, -30.0), (30.0, -30.0), (30.0, 30.0)])
def test_formula_by_hand(fine, coarse):
    """Gates wide open or shut, nothing added: bands of the difference, by OpenCV."""
    network = FaceRefinerNetwork(TINY)
    last = network.get_layer("said_wide")
    kernel, bias = (np.zeros(w.shape, np.float32) for w in last.get_weights())
    said = np.array([fine, coarse, 0.05, -0.1, 0.2], np.float32)
    last.set_weights([kernel, bias + np.tile(said, 4)])
    feeds = network.example_inputs(batch=1, seed=2)
    found = np.asarray(network.named(feeds)["refined"])[0]
    swapped, target = feeds["swapped"][0], feeds["target"][0]
    difference = target - swapped
    low = []
    for sigma in (TINY.fine, TINY.coarse):
        side = 2 * int(np.ceil(3 * sigma)) + 1
        wide = cv2.copyMakeBorder(difference, 8, 8, 8, 8, cv2.BORDER_CONSTANT)
        low.append(cv2.GaussianBlur(wide, (side, side), sigma)[8:-8, 8:-8])
    expected = swapped + said[2:]
    expected = expected + (fine > 0) * (difference - low[0])
    expected = expected + (coarse > 0) * (low[0] - low[1])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_patches_see_what_crops_see():
    """The middle of a crop, far from its border, is what a smaller network gives."""
    config = dataclasses.replace(TINY, image_size=96)
    network = randomise(FaceRefinerNetwork(config))
    feeds = network.example_inputs(batch=1, seed=5)
    part = {name: value[:, 16:80, 16:80] for name, value in feeds.items()}
    whole = np.asarray(network.named(feeds)["refined"])[:, 40:56, 40:56]
    small = np.asarray(network.of_size(64).named(part)["refined"])[:, 24:40, 24:40]
    np.testing.assert_allclose(small, whole, atol=1e-5)


def test_keras_and_portable_forms_agree(tmp_path):
    network = randomise(FaceRefinerNetwork(TINY))
    path, portable_path = tmp_path / "refiner.keras", tmp_path / "refiner.onnx"
    network.save(path)
    converting.convert(path, portable_path, "refiner")
    random = np.random.default_rng(3)
    swapped = random.uniform(-20, 280, (32, 32, 3)).astype(np.float32)
    target = random.integers(0, 256, (32, 32, 3), np.uint8)
    ours, theirs = (
        loading.load_refiner(path, "keras"),
        loading.load_refiner(portable_path),
    )
    assert (ours.size, theirs.size) == (32, 32)
    feeds = {
        "swapped": images.signed_from_uint8(swapped.clip(0, 255))[None],
        "target": images.signed_from_uint8(target)[None],
    }
    expected = np.asarray(network.named(feeds)["refined"])[0]
    expected = expected.clip(-1, 1) * 127.5 + 127.5
    np.testing.assert_allclose(ours.refine(swapped, target), expected, atol=1e-3)
    np.testing.assert_allclose(theirs.refine(swapped, target), expected, atol=2e-2)


def test_other_networks_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected a face refiner of this project"):
        loading.load_network(weights.find("parser"))
    with pytest.raises(InputError, match="network of a refiner, found parser"):
        loading.load_refiner(weights.find_portable("parser"))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"image_size": 30}, "multiple of 4. Received: image_size=30"),
        ({"width": 0}, "must be positive. Received: stem=3, width=0"),
        ({"fine": 3.0}, "`fine` below `coarse`. Received: fine=3, coarse=2"),
    ],
)
def test_impossible_structures(changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(TINY, **changes)

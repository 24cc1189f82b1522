"""Tests of landmarks that must stay where the target has them."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import facedancer as facedancer_api
from facedancer.face.alignment import Alignment
from facedancer.imaging import images, sample_photos
from facedancer.train.frozen import face_points, teachers
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.objective import losses
from facedancer.train.systems import facedancer
from facedancer.train.systems.base import Phase
from tests.train import test_proxy, tiny

RECIPE = tiny.QUICK.changed(landmarks=2.0, same_person_ratio=0.5)
WHOLE = teachers.whole_view(1)


@functools.cache
def lookers():
    return face_points.load(Alignment())


def points_of(image, view=WHOLE):
    """Returns the mean of what is seen, `(5, 2)` pixels of a crop of 96."""
    places, weights = (np.asarray(part)[0] for part in lookers()(image, view))
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    mean = (weights[:, None, None] * places).sum(axis=0)
    return mean * lookers().eye_distance - face_points.BORDER


@functools.cache
def photo():
    crop = facedancer_api.align(sample_photos.path("collins"), im_size=96)[None]
    return images.signed_from_uint8(crop)


def test_by_hand():
    """Two lookers of weights 3/4 and 1/4; one point of two has moved by 3 and 4."""
    before = np.zeros((1, 2, 2, 2), "float32")
    after = before.copy()
    after[0, 0, 0] = 3.0, 4.0
    weights = np.float32([[0.75, 0.25]])
    found = losses.landmark_loss(before, after, weights)
    np.testing.assert_allclose(found, [0.75 * 5.0 / 2], atol=0.01)
    np.testing.assert_allclose(losses.landmark_loss(before, before, weights), [0.0])


def test_they_lie_where_the_alignment_says():
    """Nearly: of a bare crop the detector sees less than of a photo."""
    apart = points_of(photo()) - Alignment().landmarks(96)
    distances = np.linalg.norm(apart, axis=1) / 30.0
    assert distances[:2].max() < 0.15 and distances.max() < 0.25, apart


def test_a_moved_face_is_seen_to_be_moved():
    moved = np.roll(photo(), (-2, 3), axis=(1, 2))
    shift = points_of(moved) - points_of(photo())
    np.testing.assert_allclose(shift.mean(axis=0), [3, -2], atol=0.9)
    (value,) = losses.landmark_loss(
        lookers()(photo(), WHOLE)[0], *lookers()(moved, WHOLE)
    )
    distance = np.hypot(3, 2) / lookers().eye_distance
    assert float(value) == pytest.approx(distance, abs=0.04)


def test_crops_that_show_more_are_looked_at_as_their_template_lies():
    crop = facedancer_api.align(
        sample_photos.path("collins"), im_size=120, shrink_factor=0.8
    )
    wide = images.signed_from_uint8(crop[None])
    wider = face_points.load(Alignment(shrink=0.8))
    assert wider.eye_distance == lookers().eye_distance
    places, weights = wider(wide, teachers.whole_view(1, 0.8))
    mean = np.asarray(weights)[0][:, None, None] * np.asarray(places)[0]
    found = mean.sum(axis=0) * wider.eye_distance - face_points.BORDER
    np.testing.assert_allclose(found, points_of(photo()), atol=1.0)


def test_a_view_is_looked_at():
    mirrored = teachers.View(*(np.float32(x) for x in ([1.0], [[0.0, 0.0]], [1.0])))
    np.testing.assert_allclose(
        points_of(photo()[:, :, ::-1]), points_of(photo(), mirrored), atol=0.01
    )


def make_system(proxy=None):
    keras.utils.set_random_seed(3)
    teacher = teachers.Teacher(tiny.encoder(), tiny.TAPS)
    frozen = FrozenNetworks(teacher, (0.01,) * 2, points=lookers(), proxy=proxy)
    return facedancer.FaceDancer(RECIPE, frozen, 6)


def test_the_term_compares_with_the_truth_and_moves_the_picture():
    system = make_system(test_proxy.make_proxy())
    drawn = system.draws(np.random.default_rng(0), 6, Phase())
    seen = system.see({**test_proxy.batch(), **drawn}, Phase())
    assert np.abs(seen["target"] - seen["reference"]).max() > 0.01  # pseudo targets
    (term,) = (one for one in system.terms if one.name == "landmarks")
    swapped = tf.Variable(seen["reference"])
    for image, same in ((seen["reference"], True), (seen["target"], False)):
        swapped.assign(image)
        with tf.GradientTape() as tape:
            looked = system.frozen.points(swapped, seen["view"])
            value = term.of(term.sums(seen, {"points": looked}), 6)
        assert (float(value) == 0.0) == same
        assert same or np.abs(tape.gradient(value, swapped)).max() > 0.0


def test_a_step_reports_it():
    system = make_system()
    drawn = system.draws(np.random.default_rng(0), 6, Phase())
    seen = system.see({**test_proxy.batch(), **drawn}, Phase())
    seen["target"] = keras.ops.convert_to_tensor(seen["target"])
    generator = tiny.builders()["generator"]()
    (term,) = (one for one in system.terms if one.name == "landmarks")
    made = system.make({"generator": generator}, seen, term.needs)
    assert made["points"][0].shape[2:] == (5, 2)
    assert "points" not in system.make({"generator": generator}, seen, frozenset())
    assert tiny.values_of([term], seen, made, 6)["landmarks"] > 0.0

"""Tests of eyes and mouths that must stay as the target has them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from facedancer import cli
from facedancer.face import face_classes
from facedancer.face.alignment import Alignment
from facedancer.imaging import images, sample_photos
from facedancer.models.families.face_parser.config import FaceParserConfig
from facedancer.models.families.face_parser.network import FaceParserNetwork
from facedancer.train.config import TrainConfig
from facedancer.train.frozen import face_parsing
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.objective import losses
from facedancer.train.systems import facedancer, facedancer_sights
from facedancer.train.systems.base import Phase
from tests.train import test_proxy, tiny

SMALL = FaceParserConfig(16, 3, (4, 5, 6), (1, 1, 1), decoder=4, fine=3)
RECIPE = tiny.QUICK.changed(parts=2.0, same_person_ratio=0.5)


def make_system(proxy=None):
    keras.utils.set_random_seed(3)
    parsing = face_parsing.FaceParsing(FaceParserNetwork(SMALL), tiny.SIZE, Alignment())
    teacher = Teacher(tiny.encoder(), tiny.TAPS)
    frozen = FrozenNetworks(teacher, (0.01,) * 2, parsing=parsing, proxy=proxy)
    return facedancer.FaceDancer(RECIPE, frozen, 6)


def see(system):
    drawn = system.draws(np.random.default_rng(0), 6, Phase())
    return system.see({**test_proxy.batch(), **drawn}, Phase())


def test_by_hand():
    """Of 20 sure pixels of one part 5 are left, the other part is in neither."""
    before, after = np.zeros((2, 1, 4, 6, 2), "float32")
    before[0, :, :5, 0] = 1.0
    after[0, 0, :5, 0] = 1.0
    found = losses.parts_loss(before, after)
    np.testing.assert_allclose(found, [0.5 * 15 / (20 + 5 + 4)], rtol=1e-6)
    np.testing.assert_allclose(losses.parts_loss(before, before), [0.0])


def test_small_parts_count_as_much_as_large_ones():
    before = np.zeros((1, 100, 90, 2), "float32")
    before[:, :10, :, 0] = before[:, :10, :30, 1] = 1.0
    without = [before * np.float32([0, 1]), before * np.float32([1, 0])]
    large, small = (float(losses.parts_loss(before, one)[0]) for one in without)
    assert large == pytest.approx(0.5, abs=0.01)
    assert small == pytest.approx(large, abs=0.01)


def test_a_real_parser_sees_a_moved_mouth_and_no_change_of_light():
    face = sample_photos.example_faces(96)[:1]
    photo = images.signed_from_uint8(face)
    moved = photo.copy()
    moved[:, 68:90, 28:68] = photo[:, 62:84, 28:68]  # down by six pixels
    shut = photo.copy()
    shut[:, 38:48, 26:70] = photo[:, 50:60, 26:70]  # cheeks where the eyes were
    parsing = face_parsing.load(96, Alignment())

    def parts(image):
        return keras.ops.take(
            keras.ops.softmax(parsing.scores(image)),
            facedancer_sights.EXPRESSION,
            axis=-1,
        )

    found = [
        float(losses.parts_loss(parts(photo), parts(image))[0])
        for image in (0.9 * photo, moved, shut)
    ]
    assert found[0] < 0.005 < 0.02 < found[1] < found[2], found


def test_which_parts():
    names = [face_classes.NAMES[number] for number in facedancer_sights.EXPRESSION]
    assert names == "left eye,right eye,inner mouth,upper lip,lower lip".split(",")


def test_the_term_compares_with_the_truth_and_moves_the_picture():
    system = make_system(test_proxy.make_proxy())
    seen = see(system)
    assert np.abs(seen["target"] - seen["reference"]).max() > 0.01  # pseudo targets
    (term,) = (one for one in system.terms if one.name == "parts")
    assert term.needs == {"parts"}
    swapped = tf.Variable(seen["reference"])
    system.frozen.parsing.network.trainable = False
    for image, least in ((seen["reference"], None), (seen["target"], 1e-5)):
        swapped.assign(image)
        with tf.GradientTape() as tape:
            made = {
                "parts": facedancer_sights.expression_parts(
                    system.frozen.parsing, swapped
                )
            }
            value = term.of(term.sums(seen, made), 6)
        if least is None:
            assert float(value) == 0.0
        else:
            assert float(value) > least
            assert np.abs(tape.gradient(value, swapped)).max() > 0.0


def test_a_step_reports_it():
    system = make_system()
    generator, seen = tiny.builders()["generator"](), see(system)
    seen["target"] = keras.ops.convert_to_tensor(seen["target"])
    made = system.make({"generator": generator}, seen, frozenset({"parts"}))
    assert made["parts"].shape == (6, 16, 16, len(facedancer_sights.EXPRESSION))
    assert "parts" not in system.make({"generator": generator}, seen, frozenset())
    (term,) = (one for one in system.terms if one.name == "parts")
    found = tiny.values_of([term], seen, made, 6)
    assert 0.0 < found["parts"] < 1.0


@pytest.mark.parametrize(
    "name, network", [("parts", "parsing"), ("landmarks", "points")]
)
def test_the_flag_brings_the_network(name, network):
    needed = facedancer.FaceDancer.needs_frozen
    words = ["--data_dir=x", "--recipe=improved"]
    without = cli.parse(TrainConfig, words).training_recipe
    recipe = cli.parse(TrainConfig, [*words, f"--{name}_lambda=6"]).training_recipe
    assert (without.weights[name], recipe.weights[name]) == (0.0, 6.0)
    assert network not in needed(without) and network in needed(recipe)

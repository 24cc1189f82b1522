"""Tests of the face parser's network and of the ways to load one."""

import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.face import alignment, face_classes
from facedancer.imaging import images, sample_photos
from facedancer.inference import portable
from facedancer.models.families.face_parser import loading, portable_parser
from facedancer.models.families.face_parser.config import FaceParserConfig
from facedancer.models.families.face_parser.network import FaceParserNetwork, fold
from facedancer.storage import weights, writing
from tests.models.check_network import randomise

TINY = FaceParserConfig(32, 3, (4, 5, 6), (1, 2, 1), decoder=4, fine=3)


@pytest.fixture(scope="module")
def tiny():
    network = randomise(FaceParserNetwork(TINY))
    image = network.example_inputs(4)["image"]
    for _ in range(10):  # averages of the batch norms
        network(image, training=True)
    return network


def test_folded_equals_trained(tiny):
    image = tiny.example_inputs(3, seed=1)["image"]
    expected = np.asarray(tiny(image, training=False))
    folded = fold(tiny)
    assert expected.shape == (3, 32, 32, 19)
    assert not any("norm" in layer.name for layer in folded.layers)
    np.testing.assert_allclose(folded(image), expected, atol=2e-5, rtol=1e-4)
    assert fold(folded) is folded


def test_what_a_file_holds(tiny, tmp_path):
    path = tmp_path / "parser.keras"
    tiny.save(path)
    crops = [sample_photos.read("collins")[:200, :200]] * 2
    found = loading.load_parser(path)
    probabilities = found.probabilities(crops)
    assert probabilities.shape == (2, 32, 32, 19)
    np.testing.assert_allclose(probabilities.sum(-1), 1.0, atol=1e-5)
    image = images.signed_from_uint8(images.resize(crops[0], 32))[None]
    scores = np.asarray(tiny(image, training=False))[0]
    np.testing.assert_array_equal(found.classes(crops)[1], scores.argmax(-1))
    assert found.classes(crops).dtype == np.uint8
    other = tmp_path / "other.keras"
    FaceParserNetwork(TINY).save(other)
    assert loading.load_network(other).config == TINY
    with pytest.raises(InputError, match="expected a face parser of this project"):
        loading.load_network(weights.find("detector"))


def test_packaged_forms_agree():
    crop = sample_photos.read("collins")
    crop = alignment.crop(crop, np.float64([[0.4, 0, -30], [0, 0.4, 0]]), 96)
    shipped = loading.load_parser()
    ours = loading.load_parser(weights.find("parser"), "keras")
    assert (shipped.name, ours.name) == ("face_parser_96.onnx", "face_parser_96.keras")
    expected = ours.scores([crop])
    np.testing.assert_allclose(shipped.scores([crop]), expected, atol=2e-4)
    seen = set(np.unique(shipped.classes([crop])))
    assert {face_classes.SKIN, face_classes.NOSE, face_classes.HAIR} <= seen
    for name in weights.CATALOGUE["face_parser_96"].digests:
        assert (weights.PACKAGED / name).stat().st_size <= 2e6


def test_a_portable_file_of_other_classes_is_refused():
    file = portable.find("parser")
    other = portable.PortableFile(file.path, file.kind, {**file.facts, "classes": 11})
    with pytest.raises(InputError, match="19 classes apart. Received: 11"):
        portable_parser.PortableParser(other)


def test_weights_are_rounded_to_some_bits():
    network = FaceParserNetwork(TINY)
    before = network.get_weights()
    writing.round_to_half(network, 9)
    for old, new in zip(before, network.get_weights(), strict=True):
        mantissa, _ = np.frexp(new)
        np.testing.assert_array_equal(mantissa * 2**9, np.rint(mantissa * 2**9))
        np.testing.assert_allclose(new, old, rtol=2**-9, atol=1e-7)
    writing.round_to_half(network, 11)  # changes nothing any more
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, rtol=2**-9, atol=1e-7)

"""Tests of `facedancer.retinaface.network`."""

import functools

import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer.retinaface import anchors, load_network, network
from tests import testing

BatchNorm = keras.layers.BatchNormalization
SMALL = {
    "mobilenet025": dict(backbone="mobilenet025", width=4, channels=8),
    "resnet50": dict(backbone="resnet50", width=4, channels=72),
}


def randomize(model):
    """Gives every weight, statistics too, a value of its own."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        kernel = "kernel" in weight.path
        low, high = (-0.3, 0.3) if kernel else (0.5, 1.5)
        weight.assign(random.uniform(low, high, weight.shape))


@functools.cache
def random_network(backbone):
    """Returns a small network, which tests only look at: building one is dear."""
    model = network.build_retinaface(**SMALL[backbone])
    randomize(model)
    return model


class NetworkTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.image = random.uniform(0, 255, (2, 32, 48, 3)).astype("float32")

    @parameterized.parameters(("mobilenet025", 433_296), ("resnet50", 27_378_144))
    def test_parameters(self, backbone, count):
        self.assertEqual(network.build_retinaface(backbone).count_params(), count)

    @parameterized.parameters(
        ("mobilenet025", (64, 96)),
        ("mobilenet025", (50, 71)),
        ("resnet50", (33, 40)),
    )
    def test_one_output_an_anchor(self, backbone, size):
        model = random_network(backbone)
        outputs = model(np.zeros((1, *size, 3), "float32"))
        n = len(anchors.make_anchors(*size))
        shapes = {name: tuple(value.shape) for name, value in outputs.items()}
        self.assertEqual(
            shapes, {"boxes": (1, n, 4), "classes": (1, n, 2), "landmarks": (1, n, 10)}
        )

    def test_an_output_belongs_to_its_anchor(self):
        """A bright spot changes the outputs of near anchors most."""
        model = random_network("mobilenet025")
        dark = np.zeros((1, 192, 256, 3), "float32")
        spot = dark.copy()
        spot[0, 36, 204] = 255.0
        changed = np.abs(model(spot)["classes"] - model(dark)["classes"]).max(axis=-1)
        nearest = anchors.make_anchors(192, 256)[changed[0].argmax()]
        self.assertLess(np.abs(nearest[:2] - [204, 36]).max(), 24)

    @parameterized.parameters(
        ("mobilenet025", ".keras"), ("mobilenet025", ".h5"), ("resnet50", ".h5")
    )
    @pytest.mark.slow
    def test_round_trip(self, backbone, ending):
        model = network.build_retinaface(**SMALL[backbone], mean=(1.0, 2.0, 3.0))
        randomize(model)
        path = self.tempdir() / f"network{ending}"
        model.save(path)
        again = load_network(path)
        self.assertEqual(again.get_config(), model.get_config())
        self.assert_close(again.get_weights(), model.get_weights(), 0, 0)

    @parameterized.parameters(*sorted(SMALL))
    def test_fold(self, backbone):
        model = random_network(backbone)
        folded = network.fold(model)
        norms = [x for x in folded.layers if isinstance(x, BatchNorm)]
        self.assertEmpty(norms)
        self.assertNotEmpty([x for x in model.layers if isinstance(x, BatchNorm)])
        for name, value in model(self.image).items():
            scale = np.abs(value).max()
            self.assert_close(folded(self.image)[name] / scale, value / scale, 0, 1e-5)
        self.assertIs(network.fold(folded), folded)

    def test_mean_and_order(self):
        layer = network.SubtractMean((10.0, 20.0, 30.0))
        image = np.float32([[[[1, 2, 3], [4, 5, 6]]]])
        expected = np.array([[[[-7, -18, -29], [-4, -15, -26]]]])
        self.assert_close(layer(image), expected)

    def test_signed(self):
        model = network.RetinaFace(width=4, channels=8, signed=True)
        layer = model.get_layer("subtract_mean")
        image = np.float32([[[[0, 127.5, 255]]]])
        self.assert_close(layer(image), np.array([[[[-1.0, 0.0, 1.0]]]]))

    def test_subtract_mean_layer(self):
        x = np.ones((2, 3, 4, 3), "float32")
        self.check_layer(
            lambda: network.SubtractMean((1.0, 2.0, 3.0)), x, (2, 3, 4, 3), weights=0
        )

    @parameterized.parameters(((2, 3), (4, 6)), ((2, 3), (3, 5)), ((1, 2), (1, 3)))
    def test_upsample_like(self, coarse, fine):
        x = np.arange(2 * np.prod(coarse)).reshape(1, *coarse, 2).astype("float32")
        like = np.zeros((1, *fine, 5), "float32")
        got = network.UpsampleLike()((x, like))
        rows = np.arange(fine[0]) * coarse[0] // fine[0]
        columns = np.arange(fine[1]) * coarse[1] // fine[1]
        self.assert_close(got, x[:, rows][:, :, columns])

    def test_upsample_like_layer(self):
        x = (np.ones((2, 2, 3, 4), "float32"), np.ones((2, 4, 5, 1), "float32"))
        self.check_layer(network.UpsampleLike, x, (2, 4, 5, 4), weights=0)

    def test_bad_arguments(self):
        with self.assertRaisesRegex(ValueError, "one of .* Received: backbone='vgg'"):
            network.build_retinaface("vgg")
        with self.assertRaisesRegex(ValueError, "multiple of 4. Received: channels=6"):
            network.build_retinaface(channels=6)

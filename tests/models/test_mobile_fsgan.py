"""Tests of MobileFSGAN's networks and of the layers that came with them."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from facedancer.models.families.mobile_fsgan import presets
from facedancer.models.families.mobile_fsgan.config import (
    MobileDiscriminatorConfig,
    MobileGeneratorConfig,
)
from facedancer.models.families.mobile_fsgan.discriminator import (
    MobileFSGANDiscriminator,
)
from facedancer.models.families.mobile_fsgan.generator import MobileFSGANGenerator
from facedancer.models.layers.aligned import AlignedUpSampling2D, ReflectPadding2D
from tests import testing

TINY = MobileGeneratorConfig(
    image_size=32, width=6, blocks=(1, 2, 1), stages=4, identity_size=5
)


@pytest.fixture(scope="module")
def published():
    return MobileFSGANGenerator(presets.PRESETS["mobile_fsgan_256"])


def test_published_generator(published):
    cost = published.cost()
    assert cost.parameters == 2_517_781
    assert round(cost.macs / 1e9, 1) == 32.4
    names = ("swapped", "swapped_half", "swapped_quarter")
    assert published.contract.outputs == published.result_names == names
    assert [output.shape[1] for output in published.outputs] == [256, 128, 64]
    assert published.contract.identity.unit
    # Rows 26 to 230 are what the encoder is shown.
    assert published.contract.image.shrink == (230 - 26) / 256


def test_published_streams(published):
    names = {layer.name for layer in published.layers}
    # 12 maps of the attributes meet 12 blocks of the decoder.
    blocks = {(256, 3), (128, 4), (64, 5)}
    for side, count in blocks:
        found = {name for name in names if name.startswith(f"decode{side}_")}
        assert {f"decode{side}_{i}" for i in range(count)} <= found
        assert f"decode{side}_{count}" not in found
        assert f"attribute{side}_{count - 2}" in names
        assert f"attribute{side}_{count - 1}" not in names
    for side in (256, 128, 64, 32, 16, 8):
        assert f"identity{side}" in names
    assert "identity4" not in names and "identity_back64" in names


@pytest.mark.parametrize("side, patches", [(256, 19), (128, 11), (64, 7)])
def test_published_discriminators(side, patches):
    network = MobileFSGANDiscriminator(MobileDiscriminatorConfig(side))
    assert network.cost().parameters == 702_641
    assert tuple(network.output.shape) == (None, patches, patches, 1)


def test_configs_refuse_what_does_not_fit():
    refused = {
        "image_size=40": (MobileGeneratorConfig, {"image_size": 40}),
        "stages=2": (MobileGeneratorConfig, {"stages": 2}),
        r"blocks=\(1, 2\)": (MobileGeneratorConfig, {"blocks": (1, 2)}),
        "width=0": (MobileGeneratorConfig, {"width": 0}),
        "Received: 1.5": (MobileGeneratorConfig, {"shrink": 1.5}),
        r"\(64, 16, 99\)": (
            MobileDiscriminatorConfig,
            {"image_size": 64, "stages": 99},
        ),
    }
    for words, (kind, values) in refused.items():
        with pytest.raises(ValueError, match=words):
            kind(**values)
    with pytest.raises(ValueError, match="no field of this name.*widths"):
        MobileGeneratorConfig.from_dict({"widths": [1]})
    values = dataclasses.replace(TINY, encoder="e#1").to_dict()
    assert MobileGeneratorConfig.from_dict(values).contract.identity.encoder == "e#1"


class NetworkTest(testing.TestCase):
    def test_averages_move_in_training_only(self):
        network = MobileFSGANGenerator(TINY)
        feeds = [network.example_inputs(3)[name] for name in network.feed_names]
        before = network.get_layer("attribute32_0_norm").get_weights()
        network(feeds, training=False)
        after = network.get_layer("attribute32_0_norm").get_weights()
        self.assert_close(before[3], after[3], atol=0)
        x = keras.Model(network.inputs, network.get_layer("head_leaky").output)(feeds)
        network(feeds, training=True)
        after = network.get_layer("attribute32_0_norm").get_weights()
        wanted = 0.1 * np.asarray(x).mean((0, 1, 2))
        self.assert_close(after[2], wanted, atol=1e-6)

    def test_example_identities_are_what_the_network_is_told(self):
        """Ten times as long, mixes without bounds ended in NaN and no export agreed."""
        network = MobileFSGANGenerator(TINY)
        self.assertTrue(network.contract.identity.unit)
        found = np.linalg.norm(network.example_inputs(3)["identity"], axis=1)
        np.testing.assert_allclose(found, 1.0, 1e-6)

    def test_identity_and_target_both_matter(self):
        network = MobileFSGANGenerator(TINY)
        target, identity = (network.example_inputs(2)[k] for k in network.feed_names)
        base = network([target, identity])
        for feeds in ([target, identity[::-1]], [target[::-1], identity]):
            for old, new in zip(base, network(feeds), strict=True):
                self.assertGreater(float(ops.max(ops.abs(old - new))), 1e-4)

    def test_every_weight_gets_a_gradient(self):
        network = MobileFSGANGenerator(dataclasses.replace(TINY, blocks=(1, 1, 1)))
        feeds = [network.example_inputs(3)[name] for name in network.feed_names]
        with tf.GradientTape() as tape:
            made = network(feeds, training=True)
            loss = sum(ops.sum(ops.square(picture - 1.0)) for picture in made)
        weights = network.trainable_weights
        found = tape.gradient(loss, [weight.value for weight in weights])
        for weight, gradient in zip(weights, found, strict=True):
            self.assertGreater(float(ops.max(ops.abs(gradient))), 0.0, weight.path)


class LayersTest(testing.TestCase):
    def test_corners_are_kept(self):
        x = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype("float32")
        found = np.asarray(AlignedUpSampling2D()(x))
        self.assertEqual(found.shape, (2, 10, 6, 4))
        for axis, side in ((1, 5), (2, 3)):
            known, wanted = np.arange(side), np.linspace(0, side - 1, 2 * side)
            x = np.apply_along_axis(lambda v: np.interp(wanted, known, v), axis, x)  # noqa: B023
        self.assert_close(found, x, atol=1e-6)

    def test_open_sides_are_refused(self):
        with self.assertRaisesRegex(ValueError, "known height and width"):
            AlignedUpSampling2D()(keras.Input((None, 4, 3)))

    def test_mirrored_border(self):
        x = np.arange(6, dtype="float32").reshape(1, 2, 3, 1)
        found = np.asarray(ReflectPadding2D(1)(x))[0, :, :, 0]
        rows = [[4, 3, 4, 5, 4], [1, 0, 1, 2, 1], [4, 3, 4, 5, 4], [1, 0, 1, 2, 1]]
        self.assert_close(found, np.array(rows), atol=0)


@pytest.mark.parametrize("bounded", [False, True])
def test_shares_of_mixes(bounded):
    config = dataclasses.replace(TINY, bounded=bounded)
    network = MobileFSGANGenerator(config)
    for layer in network.layers:
        if layer.name.endswith("_share"):
            layer.set_weights([w + 30.0 for w in layer.get_weights()])
    shares = keras.Model(network.inputs, network.fusion_masks)
    found = shares(list(network.example_inputs(1).values()))
    largest = max(float(ops.max(one)) for one in found)
    assert (largest <= 1.0) == bounded
    assert MobileFSGANGenerator.from_config(network.get_config()).config == config


def test_published_shares_have_no_limits():
    assert not presets.PRESETS["mobile_fsgan_256"].bounded
    assert presets.PRESETS["mobile_fsgan_lite_128"].bounded

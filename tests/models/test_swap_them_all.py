"""Tests of swap-them-all's networks and of the layers that came with them."""

import dataclasses
import re

import keras
import numpy as np
import pytest
from keras import ops

from facedancer.models.families.layer_ops import LayerParts
from facedancer.models.families.swap_them_all import blocks, presets
from facedancer.models.families.swap_them_all.config import (
    PairDiscriminatorConfig,
    SemanticDiscriminatorConfig,
    SwapThemAllConfig,
)
from facedancer.models.families.swap_them_all.discriminator import (
    PairDiscriminator,
    SemanticDiscriminator,
)
from facedancer.models.families.swap_them_all.generator import SwapThemAllGenerator
from facedancer.models.layers.spatially_adaptive import GeneratedConv2D
from tests.models.check_network import check_network

TINY = SwapThemAllConfig(
    image_size=32,
    widths=(4, 8, 8, 12),
    spade_width=5,
    style_width=6,
    identity_size=7,
)
TINY_2 = dataclasses.replace(
    TINY, version=2, sees="target", use_nwg=True, separate_adain=True
)


def test_published_counts():
    network = SwapThemAllGenerator(presets.PRESETS["swap_them_all_v2_224"])
    cost = network.cost()
    assert round(cost.parameters / 1e6, 2) == 32.39
    assert round(cost.macs / 1e9, 1) == 42.3
    assert network.contract.inputs == network.feed_names
    assert network.feed_names[0] == "target"  # version 1 gets the masked one
    assert presets.PRESETS["swap_them_all_224"].contract.inputs[0] == "masked_target"


@pytest.mark.parametrize(
    "config, ending",
    [
        pytest.param(TINY, ".keras", id="one", marks=pytest.mark.slow),
        pytest.param(TINY_2, ".onnx", id="two", marks=pytest.mark.slow),
    ],
)
def test_networks_stand_files_and_runtimes(tmp_path, config, ending):
    network = SwapThemAllGenerator(config)
    check_network(network, tmp_path, (ending,), "mixed_float16")


def test_discriminators(tmp_path):
    semantic = SemanticDiscriminator(SemanticDiscriminatorConfig(64, 2, 5))
    found = semantic.named(semantic.example_inputs(3))
    assert found["logits"].shape == (3, 2, 2, 1)
    assert found["identity"].shape == (3, 5)
    check_network(semantic, tmp_path, (".keras",))
    plain = PairDiscriminator(PairDiscriminatorConfig(64, 2))
    assert plain.named(plain.example_inputs(3))["logits"].shape == (3, 2, 2, 1)
    aware = PairDiscriminator(PairDiscriminatorConfig(64, 2, (9, 3, 4, 5)))
    assert aware.config.chosen == (1, 3, 0)  # the narrowest, a middle one, the widest
    sides = [tensor.shape[1:] for tensor in aware.inputs]
    assert sides == [(64, 64, 6), (8, 8, 6), (4, 4, 10), (2, 2, 18)]
    few = [PairDiscriminatorConfig(64, 2, (7,) * n).chosen for n in range(3)]
    assert few == [(), (0,), (0, 1)]
    feeds = aware.example_inputs(2)
    before = np.asarray(aware.named(feeds)["logits"])
    after = np.asarray(aware.named(feeds | {"map2": feeds["map2"] + 1.0})["logits"])
    assert np.abs(after - before).max() > 1e-4


def test_only_what_the_contract_names_decides():
    """Every input reaches the picture; the mask by SPADE too."""
    network = SwapThemAllGenerator(TINY)
    rng = np.random.default_rng(0)
    network.set_weights(
        [w + 0.1 * rng.normal(size=w.shape) for w in network.get_weights()]
    )
    feeds = network.example_inputs(2)
    before = np.asarray(network.named(feeds)["swapped"])
    for name in network.feed_names:
        changed = feeds[name].copy()
        changed[1] = -changed[1]
        after = np.asarray(network.named({**feeds, name: changed})["swapped"])
        assert np.abs(after[1] - before[1]).max() > 1e-4, name
        np.testing.assert_allclose(after[0], before[0], atol=1e-6)


def test_generated_kernels_differ_by_example():
    """Each example is convolved with its own kernels; the original took the first's."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 5, 6, 2)).astype(np.float32)
    w = rng.normal(size=(3, 4)).astype(np.float32)
    layer = GeneratedConv2D()
    found = np.asarray(layer([x, w]))
    for row in range(3):
        made = w[row] @ np.asarray(layer.kernel)
        kernel = made[: 9 * 4].reshape(3, 3, 2, 2)
        conv = ops.conv(x[row : row + 1], kernel, padding="same")
        expected = np.asarray(conv)[0] * (1.0 + made[36:38]) + made[38:]
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_res2net_by_hand():
    """With units that double, the groups add up as the figure says."""

    class Doubling(blocks.SpadeParts):
        def spade(self, x, mask, name):
            return x

        def he_conv(self, x, filters, size, name, *more, **options):
            return keras.layers.Rescaling(2.0, name=name)(x)

    x = keras.Input((2, 2, 4))
    mask = keras.Input((2, 2, 3))
    network = keras.Model([x, mask], blocks.res2net(Doubling(), x, mask, "r"))
    values = np.tile(np.float32([1, 2, 3, 4]), (1, 2, 2, 1))
    found = network([values, np.zeros((1, 2, 2, 3))])[0, 0, 0]
    g1, g2, g3, g4 = 2, 4, 6, 8  # U0 doubles
    y2 = 2 * g2
    y3 = 2 * (g3 + y2)
    y4 = 2 * (g4 + y3)
    expected = [1 + 2 * g1, 2 + 2 * y2, 3 + 2 * y3, 4 + 2 * y4]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    "changes, words",
    (
        ({"sees": "all"}, "`sees` must be one of masked_target, target. Received: all"),
        ({"version": 3}, "`version` must be 1 or 2. Received: 3"),
        ({"use_nwg": True}, "are of version 2. Received: version=1"),
        ({"widths": (4, 8, 9, 12)}, "multiples of 4"),
        ({"widths": (4, 8)}, "The four `widths`"),
        ({"image_size": 40}, "multiple of 16, at least 32. Received: image_size=40"),
        ({"shrink": 0.0}, "`shrink` must lie in (0, 1]"),
    ),
)
def test_structures_that_cannot_be(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        dataclasses.replace(TINY, **changes)


def test_discriminators_that_cannot_be():
    for made in (SemanticDiscriminatorConfig, PairDiscriminatorConfig):
        with pytest.raises(ValueError, match="multiple of 32"):
            made(image_size=48)
    assert issubclass(blocks.SpadeParts, LayerParts)

"""The conditional GAN's networks against the counts of the original."""

import dataclasses

import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.inference import portable, runtimes
from facedancer.models import portable_generator
from facedancer.models.families.conditional_gan import bottlenecks, generator, presets
from facedancer.models.families.conditional_gan.config import (
    ConditionalConfig,
    ConditionalJudgeConfig,
)
from facedancer.models.families.conditional_gan.discriminator import ConditionalJudge
from tests import testing

TINY = ConditionalConfig(
    image_size=64,
    encoder_width=2,
    width=4,
    decoder_width=1,
    mask_width=1,
    label_size=3,
    people=("ann", "ben", "cid"),
)


@pytest.mark.parametrize(
    "bottleneck",
    [
        pytest.param("mlp", marks=pytest.mark.slow),
        pytest.param("cross_attention", marks=pytest.mark.large),
    ],
)
def test_a_portable_file_is_told_a_label(bottleneck, tmp_path):
    """An embedding becomes operations that a portable file must be allowed to hold.

    OpenVINO knows the outputs by names of its own, too.
    """
    config = dataclasses.replace(TINY, bottleneck=bottleneck)
    network = generator.ConditionalGenerator(config)
    path = tmp_path / "portable.onnx"
    portable_generator.save(network, path, {})
    feeds = network.example_inputs(batch=3)
    feeds["label"][:, 0] = [0, 2, 1]
    expected = {k: np.asarray(v) for k, v in network.named(feeds).items()}
    found = runtimes.OpenVINORuntime(portable.read(path))(feeds)
    assert set(expected) <= set(found)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)
    others = feeds | {"label": np.roll(feeds["label"], 1)}
    only = runtimes.OpenVINORuntime(portable.read(path), ("swapped",))(others)
    assert np.abs(only["swapped"] - expected["swapped"]).max() > 1e-4


def test_weights_that_follow_from_the_size_do_not_go_on_at_another():
    made = generator.ConditionalGenerator(TINY)
    with pytest.raises(InputError, match=f"of {TINY.image_size} pixels cannot go on"):
        made.resized(2 * TINY.image_size)


def bottleneck_count(config):
    """Parameters between encoder and decoder, by arithmetic."""
    side = config.image_size
    for _ in range(4):
        side = (side - 5) // 2 + 1
    places, channels, width = side**2, 8 * config.encoder_width, config.width
    numbers = (config.image_size // 32) ** 2 * width
    person = len(config.people) * config.label_size
    if config.bottleneck == "mlp":
        code = (places * channels + config.label_size) * width + width
        return person + code + width * numbers + numbers
    views = 3 * (channels * width + width) + 4 * (width * width + width)
    return person + views + (places * width + config.label_size + 1) * numbers


def test_what_the_legacy_attention_counts():
    """970.5 million, without making them: it differs from the MLP's in the middle."""
    small = [
        dataclasses.replace(TINY, bottleneck=kind)
        for kind in ("mlp", "legacy_attention")
    ]
    found = [generator.ConditionalGenerator(one).count_params() for one in small]
    middles = [bottleneck_count(one) for one in small]
    assert found[1] - found[0] == middles[1] - middles[0]
    mlp, legacy = (
        bottleneck_count(presets.PRESETS[f"conditional_gan_{name}"])
        for name in ("512", "legacy_attention")
    )
    assert round((20_002_805 - mlp + legacy) / 1e6, 1) == 970.5


@pytest.mark.large  # 67 million numbers
def test_published_counts():
    """20.0 million and 28.6 G with the branch of the mask; its judge has 67.1."""
    network = generator.ConditionalGenerator(presets.PRESETS["conditional_gan_512"])
    cost = network.cost()
    assert (cost.parameters, round(cost.macs / 1e9, 1)) == (20_002_805, 28.6)
    judge = ConditionalJudge(presets.DISCRIMINATORS["conditional_gan_512"])
    assert round(judge.cost().parameters / 1e6, 1) == 67.1


def test_the_cross_attention_has_less_than_a_million():
    config = presets.PRESETS["conditional_gan_cross_128"]
    network = generator.ConditionalGenerator(config)
    names = [layer.name for layer in network.layers]
    middle = names[names.index("encode3") + 1 : names.index("inter_conv")]
    assert "attention" in middle
    weights = [w for name in middle for w in network.get_layer(name).get_weights()]
    assert 100_000 < sum(w.size for w in weights) < 1_000_000


class BottleneckTest(testing.TestCase):
    def test_the_label_decides_in_each(self):
        picture = np.random.default_rng(0).uniform(0, 1, (3, 64, 64, 3))
        labels = np.array([[0], [1], [2]], "int32")
        same = np.repeat(picture[:1], 3, axis=0).astype("float32")
        for kind in ("mlp", "legacy_attention", "cross_attention"):
            config = dataclasses.replace(TINY, bottleneck=kind)
            network = generator.ConditionalGenerator(config)
            rng = np.random.default_rng(1)
            network.set_weights(
                [w + 0.3 * rng.normal(size=w.shape) for w in network.get_weights()]
            )
            made = network.named({"target": same, "label": labels})
            found = np.asarray(made["swapped"])
            self.assertEqual(found.shape, (3, 64, 64, 3))
            self.assertEqual(made["alpha"].shape, (3, 64, 64, 1))
            self.assertGreater(np.abs(found[0] - found[1]).max(), 1e-4, kind)
            self.assertTrue(0.0 <= found.min() <= found.max() <= 1.0)
        self.assertEqual(network.contract.identity.names, ("ann", "ben", "cid"))

    def test_people_begin_as_large_as_pictures(self):
        """Both networks are told of people by numbers of deviation 1."""
        config = dataclasses.replace(TINY, label_size=200)
        made = generator.ConditionalGenerator(config)
        table = made.get_layer("person").get_weights()[0]
        self.assertEqual(table.shape, (3, 200))
        self.assertAlmostEqual(table.std(), 1.0, delta=0.15)
        people = tuple(map(str, range(100)))
        judge = ConditionalJudge(ConditionalJudgeConfig(64, 1, people))
        table = judge.get_layer("person").get_weights()[0]
        self.assertAlmostEqual(table.std(), 1.0, delta=0.2)

    def test_layers_against_numpy(self):
        x = np.random.default_rng(2).normal(size=(2, 5, 6)).astype("float32")
        wanted = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-6)
        self.assert_close(bottlenecks.PixelNorm()(x), wanted, atol=1e-5)
        found = np.asarray(bottlenecks.SinePositions()(x)) - x
        for place in range(5):
            for channel in range(6):
                wanted = np.sin(place * 1e4 ** (-channel / 6))
                self.assertAlmostEqual(found[1, place, channel], wanted, places=5)

    def test_refusals(self):
        for changes, words in (
            ({"image_size": 80}, "multiple of 32, at least 64. Received: 80"),
            ({"bottleneck": "none"}, "must be one of mlp, .*Received: none"),
            ({"people": ("ann",)}, "two or more. Received: 1"),
            ({"people": ("ann", "ann")}, None),
            ({"width": 6}, "multiple of 4"),
        ):
            if words is None:
                with self.assertRaisesRegex(ValueError, "2 different ones"):
                    _ = dataclasses.replace(TINY, **changes).contract
                continue
            with self.assertRaisesRegex(ValueError, words):
                dataclasses.replace(TINY, **changes)

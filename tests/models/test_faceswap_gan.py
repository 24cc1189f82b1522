"""faceswap-GAN's networks against the counts of the original, and their layers."""

import numpy as np
import pytest

from facedancer.models import load_generator, saving
from facedancer.models.families.faceswap_gan import generator, presets
from facedancer.models.families.faceswap_gan.config import (
    NORMS,
    FaceswapConfig,
    FaceswapDiscriminatorConfig,
)
from facedancer.models.families.faceswap_gan.discriminator import FaceswapDiscriminator
from facedancer.models.layers.attention import SelfAttention2D
from facedancer.models.layers.scalar_norm import ScalarNorm
from facedancer.models.layers.shuffling import ICNR, PixelShuffle2D
from tests import testing

TINY = FaceswapConfig(width=16, lite=True, latent=8, attention=0)


def networks(config=TINY):
    return {
        "encoder": generator.FaceswapEncoder(config),
        "decoder_a": generator.FaceswapDecoder(config),
        "decoder_b": generator.FaceswapDecoder(config),
    }


@pytest.mark.parametrize(
    "preset, encoder, decoder",
    [
        ("faceswap_gan_lite_64", 10.1, 0.4),
        pytest.param("faceswap_gan_64", 59.1, 6.3, marks=pytest.mark.large),
        pytest.param("faceswap_gan_128", 68.6, 6.5, marks=pytest.mark.large),
        pytest.param("faceswap_gan_256", 78.0, 6.7, marks=pytest.mark.large),
        pytest.param("faceswap_gan_lite_256", 19.6, 0.46, marks=pytest.mark.large),
    ],
)
def test_published_counts(preset, encoder, decoder):
    """In millions, as the original's networks have them."""
    config = presets.PRESETS[preset]
    digits = len(str(decoder).partition(".")[2])
    for kind, wanted, places in (
        (generator.FaceswapEncoder, encoder, 1),
        (generator.FaceswapDecoder, decoder, digits),
    ):
        assert round(kind(config).cost().parameters / 1e6, places) == wanted


@pytest.mark.large
@pytest.mark.parametrize("size, described", [(64, 4.4), (128, 7.5), (256, 26.8)])
def test_published_multiply_accumulates(size, described):
    """In G; described is the likeness of places by all channels, not by an eighth."""
    config, found = presets.PRESETS[f"faceswap_gan_{size}"], 0
    for kind in (generator.FaceswapEncoder, generator.FaceswapDecoder):
        network = kind(config)
        found += network.cost().macs
        for layer in network.layers:
            if isinstance(layer, SelfAttention2D):
                _, height, width, channels = layer.output.shape
                found += (height * width) ** 2 * channels * 7 // 8
    assert round(found / 1e9, 1) == described


def test_a_discriminator_sees_a_pair_down_to_eight_places():
    for size in (64, 128):
        config = FaceswapDiscriminatorConfig(size, 8, attention=0)
        network = FaceswapDiscriminator(config)
        assert [one.name for one in network.inputs] == ["image", "distorted"]
        assert network.output.shape[1:] == (8, 8, 1)


class SwapperTest(testing.TestCase):
    """What is exported has the weights of the encoder and of one decoder."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.networks = networks()

    def test_it_is_the_encoder_and_one_decoder(self):
        picture = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3))
        picture = picture.astype("float32")
        known, code = self.networks["encoder"](picture)
        self.assertEqual((known.shape, code.shape), ((2, 8, 8, 128), (2, 8)))
        for i, decoder in enumerate(("decoder_a", "decoder_b")):
            alpha, raw = self.networks[decoder](known)
            swapper = generator.swapper_of(self.networks, decoder, i)
            made = swapper.named({"target": picture})
            self.assert_close(made["swapped"], raw)
            self.assert_close(made["alpha"], alpha)
        self.assertGreater(np.abs(np.asarray(made["alpha"]) - 0.5).max(), 1e-3)

    @pytest.mark.slow
    def test_a_file_keeps_whom_it_shows(self):
        config = FaceswapConfig(**{**TINY.to_dict(), "people": ("anna", "ben")})
        made = networks(config)
        folder = self.tempdir()
        for i, (decoder, name) in enumerate(
            (("decoder_a", "anna"), ("decoder_b", "ben"))
        ):
            swapper = generator.swapper_of(made, decoder, i)
            path = folder / f"{name}{('.keras', '.h5')[i]}"
            saving.save(swapper, path)
            again = load_generator(path)
            self.assertEqual(again.contract.identity.names, (name,))
            self.assertEqual(again.contract.identity.kind, "none")
            self.assertEqual(again.contract.outputs, ("swapped", "alpha"))
            for old, new in zip(swapper.weights, again.weights, strict=True):
                self.assert_close(old, new, atol=0)

    def test_structures(self):
        """Each norm, the other bottleneck, the larger sizes and landmarks."""
        for norm in NORMS[1:]:
            config = FaceswapConfig(**{**TINY.to_dict(), "norm": norm})
            assert generator.FaceswapEncoder(config).output[0].shape[1:] == (8, 8, 128)
        values = {**TINY.to_dict(), "bottleneck": "conv", "landmarks": True}
        values |= {"image_size": 128, "lite": False}
        config = FaceswapConfig(**values)
        encoder = generator.FaceswapEncoder(config)
        self.assertEqual(encoder.feed_names, ("target", "semantic_mask"))
        self.assertEqual(encoder.get_layer("encode_narrow1_conv").output.shape[1], 1)
        decoder = generator.FaceswapDecoder(config)
        self.assertEqual([one.shape[1] for one in decoder.outputs], [128, 128, 64])

    def test_refusals(self):
        for changes, words in (
            ({"image_size": 96}, "must be one of 64, 128, 256. Received: 96"),
            ({"norm": "spectral"}, "`norm` must be one of none, .*Received: spectral"),
            ({"width": 26}, "multiple of 4"),
            ({"people": ("anna",)}, "two people. Received: anna"),
            ({"shrink": 0.0}, "Received: 0.0"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                FaceswapConfig(**changes)
        with self.assertRaisesRegex(ValueError, "must be even. Received: 3"):
            FaceswapDiscriminatorConfig(d_base_width=3)


class LayerTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.random = np.random.default_rng(1)

    def test_attention_against_numpy(self):
        x = self.random.normal(size=(2, 3, 5, 16)).astype("float32")
        layer = SelfAttention2D()
        self.assert_close(layer(x), x, atol=0)  # gamma is 0
        values = [self.random.normal(size=w.shape) * 0.3 for w in layer.weights]
        layer.set_weights(values)
        named = {w.name: v for w, v in zip(layer.weights, values, strict=True)}
        flat = x.reshape(2, 15, 16).astype(float)
        f, g, h = (
            flat @ named[f"{n}_kernel"] + named[f"{n}_bias"] for n in ("f", "g", "h")
        )
        wanted = np.empty_like(flat)
        for row in range(2):
            for place in range(15):
                likeness = np.exp(f[row] @ g[row, place])
                share = likeness / likeness.sum()
                wanted[row, place] = flat[row, place] + named["gamma"] * (
                    share @ h[row]
                )
        self.assert_close(layer(x), wanted.reshape(x.shape), atol=1e-4)
        self.assertEqual(
            layer.multiply_accumulates((2, 3, 5, 16)),
            15 * (16 * 2 + 16 * 2 + 16 * 16) + 15 * 15 * (2 + 16),
        )
        with self.assertRaisesRegex(ValueError, "of known sides. Received: shape"):
            SelfAttention2D().build((1, None, 2, 7))

    def test_scalar_norm_against_numpy(self):
        x = self.random.normal(2.0, 3.0, (2, 3, 5, 4)).astype("float32")
        layer = ScalarNorm(epsilon=0.5)
        layer.build(x.shape)
        layer.set_weights([np.array([2.0]), np.array([-1.0])])
        wanted = np.stack([(one - one.mean()) / (one.std() + 0.5) for one in x])
        self.assert_close(layer(x), 2.0 * wanted - 1.0, atol=1e-5)

    def test_shuffle_by_hand(self):
        x = np.arange(2 * 3 * 8, dtype="float32").reshape(1, 2, 3, 8)
        found = np.asarray(PixelShuffle2D()(x))
        self.assertEqual(found.shape, (1, 4, 6, 2))
        for row in range(4):
            for column in range(6):
                channel = 2 * (2 * (row % 2) + column % 2)
                wanted = x[0, row // 2, column // 2, channel : channel + 2]
                self.assertEqual(found[0, row, column].tolist(), wanted.tolist())
        with self.assertRaisesRegex(ValueError, "multiple of four"):
            PixelShuffle2D()(np.zeros((1, 2, 2, 6)))

    def test_the_start_shows_no_grid(self):
        kernel = np.asarray(ICNR(seed=3)((3, 3, 40, 32)))
        for part in range(1, 4):
            self.assert_close(kernel[..., 8 * part : 8 * part + 8], kernel[..., :8])
        self.assertAlmostEqual(kernel.std(), np.sqrt(2 / 360), delta=0.003)

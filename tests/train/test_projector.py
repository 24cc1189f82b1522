"""Frozen features, their mixing and the heads on them, against NumPy."""

import keras
import numpy as np
import pytest
from absl.testing import parameterized
from keras import ops

from facedancer.errors import InputError
from facedancer.models.families.face_parser.loading import load_network
from facedancer.models.families.projected_heads import build_projected_heads
from facedancer.models.layers.spectral_convolution import SpectralConv2D, spectral_norm
from facedancer.networks.image_networks import IMAGENET_BGR_MEAN, load_image_network
from facedancer.train.frozen import projector
from tests import testing

SIDE = 64
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def picture(side=SIDE, count=2):
    draws = np.random.default_rng(0)
    return draws.uniform(-1, 1, (count, side, side, 3)).astype("f4")


def mobilenet_arrays():
    """Random arrays under the names of the public file."""
    draws = np.random.default_rng(1)
    arrays = {}

    def add(conv, norm, shape):
        deviation = (2.0 / np.prod(shape[1:])) ** 0.5
        arrays[f"{conv}.weight"] = draws.normal(0, deviation, shape)
        for name, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.2, 0.2),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ):
            arrays[f"{norm}.{name}"] = draws.uniform(low, high, shape[0])

    add("stage1.0.0", "stage1.0.1", (8, 3, 3, 3))
    inputs = 8
    for base, width in (
        *(
            (f"stage1.{k}", w)
            for k, w in zip(range(1, 6), (16, 32, 32, 64, 64), strict=True)
        ),
        *((f"stage2.{k}", 128) for k in range(6)),
        *((f"stage3.{k}", 256) for k in range(2)),
    ):
        add(f"{base}.0", f"{base}.1", (inputs, 1, 3, 3))
        add(f"{base}.3", f"{base}.4", (width, inputs, 1, 1))
        inputs = width
    return {name: value.astype("f4") for name, value in arrays.items()}


class FilesTestCase(testing.TestCase):
    def write(self, **changes):
        path = self.tempdir() / "mobilenet.npz"
        np.savez(path, **{**mobilenet_arrays(), **changes})
        return path


class MobileNetTest(FilesTestCase):
    def test_first_maps_by_numpy(self):
        """Convolution, batch norm, LeakyReLU; padded by 1 on both sides; as trained."""
        arrays = mobilenet_arrays()
        network = load_image_network(self.write(), SIDE)
        unit = (picture() + 1.0) / 2.0
        bgr = (255.0 * unit)[..., ::-1] - np.array(IMAGENET_BGR_MEAN)
        maps = keras.Model(
            network.input,
            [network.get_layer(name).output for name in ("stage1_0", "stage1_1")],
        )
        first, second = (np.asarray(part) for part in maps(bgr.astype("f4")))

        def normed(x, name):
            x = (x - arrays[f"{name}.running_mean"]) / np.sqrt(
                arrays[f"{name}.running_var"] + 1e-5
            )
            x = x * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]
            return np.where(x > 0, x, 0.1 * x)

        y, x = 5, 9
        seen = ((unit - MEAN) / STD)[1, 2 * y - 1 : 2 * y + 2, 2 * x - 1 : 2 * x + 2]
        value = np.einsum("hwi,oihw->o", seen, arrays["stage1.0.0.weight"])
        np.testing.assert_allclose(
            first[1, y, x], normed(value, "stage1.0.1"), 1e-3, 1e-4
        )
        around = first[1, y - 1 : y + 2, x - 1 : x + 2]
        value = np.einsum("hwi,ihw->i", around, arrays["stage1.1.0.weight"][:, 0])
        value = arrays["stage1.1.3.weight"][:, :, 0, 0] @ normed(value, "stage1.1.1")
        np.testing.assert_allclose(
            second[1, y, x], normed(value, "stage1.1.4"), 1e-3, 1e-4
        )
        self.assertEqual(network.output_shape, (None, 2, 2, 256))

    @pytest.mark.slow
    def test_dogs_are_dogs(self):
        """The public file with its own classifier; its classes 151 to 268 are dogs."""
        path = testing.shared("models", "detection", "mobilenet025_imagenet.npz")
        photo = testing.shared("faces", "cases", "dlib_faces", "faces", "dogs.jpg")
        import cv2

        image = cv2.imread(str(photo)).astype("f4")
        scale = 256 / min(image.shape[:2])
        image = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
        top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
        image = image[top : top + 224, left : left + 224] - np.array(IMAGENET_BGR_MEAN)
        network, arrays = load_image_network(path, 224), np.load(path)
        found = np.asarray(network(image[None].astype("f4")))[0].mean(axis=(0, 1))
        scores = arrays["fc.weight"] @ found + arrays["fc.bias"]
        shares = np.exp(scores - scores.max())
        self.assertGreater(shares[151:269].sum() / shares.sum(), 0.95)

    def test_refusals(self):
        path = self.write(**{"stage2.3.0.weight": np.zeros((128, 1, 5, 5), "f4")})
        with self.assertRaisesRegex(InputError, "stage2_3_depthwise has no weights"):
            load_image_network(path, SIDE)
        path = self.tempdir() / "other.npz"
        np.savez(path, a=np.zeros(3))
        with self.assertRaisesRegex(InputError, "not those of MobileNetV1"):
            load_image_network(path, SIDE)


class ProjectorTest(FilesTestCase):
    def test_mixing_by_numpy(self):
        made = projector.Projector(load_image_network(self.write(), SIDE), seed=3)
        found = [np.asarray(part) for part in made(picture())]
        self.assertEqual([part.shape[1:] for part in found], made.shapes)
        self.assertEqual([s[2] for s in made.shapes], [64, 128, 256, 256])
        maps = made.network(projector.imagenet(picture()))
        kernels = {v.name: np.asarray(v) for v in made._channels + made._scales}
        mixed = [
            np.asarray(part) @ kernels[f"channels{level}"][0, 0]
            for level, part in enumerate(maps)
        ]
        np.testing.assert_allclose(found[3], mixed[3], 1e-3, 1e-3)
        # One place of the third map: the coarsest, convolved and enlarged, is added.
        padded = np.pad(mixed[3], ((0, 0), (1, 1), (1, 1), (0, 0)))
        coarse = np.stack(
            [
                np.einsum(
                    "bhwi,hwio->bo", padded[:, y : y + 3, x : x + 3], kernels["scales2"]
                )
                for y in range(2)
                for x in range(2)
            ],
            axis=1,
        ).reshape(2, 2, 2, -1)
        # Pixel (1, 1) of 4 lies at 0.25 of 2: three quarters of the first, each way.
        weights = np.array([0.75, 0.25])
        enlarged = np.einsum("h,w,bhwo->bo", weights, weights, coarse)
        expected = (mixed[2][:, 1, 1] + enlarged) / np.sqrt(2)
        np.testing.assert_allclose(found[2][:, 1, 1], expected, 1e-3, 1e-3)

    def test_a_function_of_the_seed(self):
        network = load_image_network(self.write(), SIDE)
        one, two, other = (
            np.asarray(projector.Projector(network, seed)(picture())[0])
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(one, two)
        self.assertGreater(np.abs(one - other).mean(), 1e-3)

    def test_variance_is_kept(self):
        """He says so: the mixing neither blows maps up nor lets them fade."""
        made = projector.Projector(load_image_network(self.write(), SIDE))
        maps = made.network(projector.imagenet(picture()))
        before, after = (float(ops.std(part[-1])) for part in (maps, made(picture())))
        self.assertBetween(after / before, 0.5, 2.0)

    @parameterized.parameters((16, 128), (128, 128), (130, 160))
    def test_side(self, size, side):
        made = projector.load([self.write()], size)
        self.assertEqual(made.projectors[0].side, side)
        self.assertEqual(made.shapes[0], (side // 4, side // 4, 64))
        found = made(picture(size, 1))
        self.assertEqual([tuple(part.shape[1:]) for part in found], made.shapes)

    def test_two_networks(self):
        path = testing.shared("models", "perceptual", "squeezenet_notop.h5")
        made = projector.load([self.write(), path], 96)
        self.assertEqual([s[0] for s in made.shapes], [32, 16, 8, 4, 31, 15, 7])
        self.assertLen(made(picture(96, 1)), 7)
        self.assertLen({id(v) for v in made.variables}, len(made.variables))


class FaceParserTest(testing.TestCase):
    @parameterized.parameters((96, 96), (100, 112))
    def test_side_and_maps(self, size, side):
        """The parser works at the photos' own size, and sees them in [-1, 1]."""
        made = projector.load([projector.FACE_PARSER], size)
        self.assertEqual(made.projectors[0].side, side)
        found = made(picture(size, 1))
        sides = [side // 2**halvings for halvings in (1, 2, 3, 4)]
        self.assertEqual([part.shape[1] for part in found], sides)
        self.assertEqual([tuple(part.shape[1:]) for part in found], made.shapes)
        network = load_network().resized(side)
        coarsest = keras.Model(network.input, network.get_layer("block3_1").output)
        image = ops.image.resize(picture(size, 1), (side, side))
        kernel = np.asarray(made.projectors[0]._channels[3])[0, 0]
        expected = np.asarray(coarsest(image)) @ kernel
        np.testing.assert_allclose(np.asarray(found[3]), expected, 1e-3, 1e-3)


class HeadsTest(testing.TestCase):
    def test_shapes(self):
        shapes = [(32, 32, 16), (15, 15, 8), (4, 4, 8)]
        heads = build_projected_heads(shapes, base_width=4)
        maps = [np.ones((2, *shape), "f4") for shape in shapes]
        logits = heads(maps)
        self.assertEqual([tuple(part.shape) for part in logits], [(2, 4, 4, 1)] * 3)
        widths = [heads.get_layer(f"head0_{n}").filters for n in ("down0", "down2")]
        self.assertEqual(widths, [4, 16])

    def test_maps_of_any_scale_are_judged_alike(self):
        """Each head brings its map to one scale first; no example sees another."""
        heads = build_projected_heads([(8, 8, 16)], base_width=4)
        maps = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("f4")
        alone, both, louder = (
            np.asarray(heads([part])) for part in (maps[:1], maps, 50.0 * maps)
        )
        self.assert_close(both[:1], alone, rtol=1e-4, atol=1e-5)
        self.assert_close(louder, both, rtol=1e-2, atol=1e-3)

    def test_what_is_seen_does_not_fade(self):
        """Two pictures that differ are apart in the logits after three halvings."""
        heads = build_projected_heads([(32, 32, 16)], base_width=16)
        maps = np.random.default_rng(0).normal(size=(2, 32, 32, 16)).astype("f4")
        logits = np.asarray(heads([maps]))
        self.assertGreater(np.abs(logits[0] - logits[1]).mean(), 0.1)

    @parameterized.parameters(((3, 3, 4, 6),), ((4, 4, 3, 8),), ((1, 1, 9, 2),))
    def test_spectral_norm_by_numpy(self, shape):
        kernel = np.random.default_rng(0).normal(size=shape).astype("f4")
        exact = np.linalg.svd(kernel.reshape(-1, shape[-1]), compute_uv=False)[0]
        self.assert_close(spectral_norm(kernel, 100), exact, rtol=1e-4)
        found = float(spectral_norm(kernel))
        self.assertBetween(found / exact, 0.9, 1.0001)

    def test_convolution_over_its_norm(self):
        layer = SpectralConv2D(5, 3, padding="same")
        image = np.random.default_rng(0).normal(size=(1, 6, 7, 2)).astype("f4")
        found = layer(image)
        plain = keras.layers.Conv2D(5, 3, padding="same")
        plain.build(image.shape)
        kernel = np.asarray(layer.kernel)
        norm = float(spectral_norm(kernel))
        plain.set_weights([kernel / norm, np.asarray(layer.bias)])
        self.assert_close(found, plain(image), rtol=1e-4, atol=1e-5)

    def test_scaled_kernels_do_the_same(self):
        layer = SpectralConv2D(5, 3, use_bias=False)
        image = np.random.default_rng(0).normal(size=(1, 6, 7, 2)).astype("f4")
        before = np.asarray(layer(image))
        layer.kernel.assign(100.0 * layer.kernel)
        self.assert_close(layer(image), before, rtol=1e-4, atol=1e-5)

"""The perceptual networks: preprocessing, files, refusals; no download."""

from unittest import mock

import h5py
import keras
import numpy as np
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.train.frozen import perceptual
from tests import testing

SIZE = 48


class SqueezeNetTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.path = testing.shared("models", "perceptual", "squeezenet_notop.h5")
        random = np.random.default_rng(0)
        self.image = random.uniform(-1, 1, (2, SIZE, SIZE, 3)).astype("f4")

    def test_first_map_by_numpy(self):
        found = perceptual.load(str(self.path), SIZE).features(self.image)
        self.assertLen(found, 5)
        with h5py.File(self.path) as file:
            kernel, bias = file["conv1"]["uniform1"][()], file["conv1"]["conv1_b"][()]
        # RGB in [-1, 1] -> BGR in [0, 255] less the mean of ImageNet.
        bgr = (self.image[1, 4:7, 6:9, ::-1] + 1.0) * 127.5
        bgr = bgr - np.array([103.939, 116.779, 123.68])
        expected = np.maximum(np.einsum("hwi,hwio->o", bgr, kernel) + bias, 0.0)
        np.testing.assert_allclose(found[0][1, 2, 3], expected, 1e-4, 1e-3)

    def test_blur_is_further_away_the_stronger_it_is(self):
        seen = perceptual.load(str(self.path), SIZE)
        smooth = keras.ops.average_pool(self.image, 4, 1, padding="same")
        slight = 0.7 * self.image + 0.3 * np.asarray(smooth)
        maps = [seen.features(x) for x in (self.image, slight, smooth)]
        for exact, near, far in zip(*maps, strict=True):
            near, far = (np.abs(np.asarray(exact) - x).mean() for x in (near, far))
            self.assertLess(near, far)

    def test_chosen_and_unknown_blocks(self):
        seen = perceptual.load(str(self.path), SIZE, ("fire3",))
        self.assertLen(seen.features(self.image), 1)
        with self.assertRaisesRegex(InputError, "--p_blocks must be.*fire3.*fire99"):
            perceptual.load(str(self.path), SIZE, ("fire99",))


class Vgg16Test(testing.TestCase):
    def make_file(self):
        path = self.tempdir() / "vgg16.h5"
        network = keras.applications.VGG16(
            include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
        )
        network.save(path)
        return path, network

    def test_correct_and_legacy_preprocessing(self):
        path, network = self.make_file()
        image = np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype("f4")
        taps = keras.Model(network.input, network.get_layer("block2_pool").output)
        prepared = keras.applications.vgg16.preprocess_input((image + 1.0) * 127.5)
        correct = perceptual.load(str(path), SIZE)
        self.assertTrue(correct.relative)
        found = correct.features(image)
        self.assertLen(found, 5)
        self.assert_close(found[1], np.asarray(taps(prepared)), rtol=1e-3, atol=1e-3)
        legacy = perceptual.load(str(path), SIZE, ("block2_pool",), legacy=True)
        self.assertFalse(legacy.relative)
        self.assert_close(
            legacy.features(image)[0], 0.85 * np.asarray(taps(image)), atol=1e-5
        )

    def test_without_the_file(self):
        home = {"KERAS_HOME": str(self.tempdir()), "HOME": str(self.tempdir())}
        with mock.patch.dict("os.environ", home):
            with self.assertRaisesRegex(
                InputError, "needs the file https://.*nothing is.*--perceptual=encoder"
            ):
                perceptual.load("vgg16", SIZE)

    @parameterized.parameters(("KERAS_HOME", ""), ("HOME", ".keras"))
    def test_the_file_of_keras_is_used(self, variable, folder):
        path, _ = self.make_file()
        image = np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype("f4")
        expected = perceptual.load(str(path), SIZE).features(image)
        home = path.parent / "home"
        name = perceptual.VGG16_WEIGHTS.rpartition("/")[2]
        kept = home / folder / "models" / name
        kept.parent.mkdir(parents=True)
        kept.write_bytes(path.read_bytes())
        with mock.patch.dict("os.environ", {variable: str(home)}):
            found = perceptual.load("vgg16", SIZE).features(image)
        self.assert_close(found[4], np.asarray(expected[4]))


class OtherTest(testing.TestCase):
    @parameterized.parameters("encoder", "none")
    def test_no_network_at_all(self, name):
        self.assertIsNone(perceptual.load(name, SIZE).features)

    def test_bad_files(self):
        path = self.tempdir() / "x.h5"
        with self.assertRaisesRegex(InputError, "vgg16, encoder, none or a file"):
            perceptual.load(str(path), SIZE)
        path.write_text("no HDF5")
        with self.assertRaisesRegex(InputError, "not an HDF5 file"):
            perceptual.load(str(path), SIZE)
        with h5py.File(path, "w") as file:
            file["other/kernel"] = np.zeros((1, 1, 3, 4))
        with self.assertRaisesRegex(InputError, "neither weights of VGG16 nor of"):
            perceptual.load(str(path), SIZE)

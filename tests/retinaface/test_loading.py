"""Tests of `facedancer.retinaface.loading` and `published`: other people's files."""

import functools
import lzma
import shutil
from unittest import mock

import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.networks import resnet50
from facedancer.retinaface import (
    MtcnnDetector,
    build_retinaface,
    load_detector,
    published,
    retinaface_detector,
)
from facedancer.storage import model_files, weights
from tests import testing

PYTORCH = ("models", "detection", "retinaface_mobilenet025.npz")


def unpack(path, folder):
    target = folder / path.stem
    with lzma.open(path) as packed, open(target, "wb") as file:
        shutil.copyfileobj(packed, file)
    return target


def worst_row(a, b):
    """Largest difference of a row of one set to its nearest in the other."""
    distance = np.abs(a[:, None] - b[None]).max(axis=-1)
    return max(distance.min(axis=0).max(), distance.min(axis=1).max())


@functools.cache
def pytorch_detector():
    """Returns the detector of the published file, its norms folded."""
    return load_detector(testing.shared(*PYTORCH))


class PublishedTest(testing.TestCase):
    def check_resnet50(self):
        path = testing.shared("interop", "full", "retinaface_res50_tf210.h5.xz")
        recorded = np.load(
            testing.shared("interop", "full", "retinaface_res50_tf210.npz")
        )
        detector = load_detector(unpack(path, self.tempdir()))
        self.assertEqual(detector.name, "retinaface-resnet50")
        rows = detector(recorded["x0"])
        self.assertEqual(rows.shape, recorded["y0"].shape)
        self.assertLess(worst_row(rows, recorded["y0"]), 3e-4)
        return detector.network.get_config()

    @pytest.mark.slow
    def test_resnet50_gives_the_recorded_rows(self):
        self.assertIsNone(self.check_resnet50()["trunk"])

    @pytest.mark.large
    def test_another_backbone_is_built_from_the_file(self):
        """As if ResNet50 were not known: every layer is read from the file."""
        with mock.patch.object(resnet50, "LAYERS", 0):
            self.assertLen(self.check_resnet50()["trunk"]["layers"], 175)

    def test_pytorch_gives_the_recorded_outputs(self):
        network = pytorch_detector().network
        recorded = np.load(testing.shared("interop", "retinaface_mobilenet025.npz"))
        image = recorded["image_bgr_uint8"][None, ..., ::-1]
        outputs = network.predict_on_batch(image.astype("float32"))
        scores = retinaface_detector.face_scores(outputs["classes"])
        self.assert_close(scores, recorded["scores"][..., 1], 0, 1e-5)
        self.assert_close(outputs["boxes"], recorded["boxes_raw"], 0, 1e-4)
        self.assert_close(outputs["landmarks"], recorded["landmarks_raw"], 0, 1e-4)

    def test_pytorch_finds_the_recorded_face(self):
        recorded = np.load(testing.shared("interop", "retinaface_mobilenet025.npz"))
        image = np.ascontiguousarray(recorded["image_bgr_uint8"][..., ::-1])
        faces = pytorch_detector().detect(image)
        expected = recorded["boxes_xyxy_score"]
        self.assert_close(faces.boxes, expected[:, :4], 0, 1e-3)
        self.assert_close(faces.scores, expected[:, 4], 0, 1e-5)
        self.assert_close(faces.landmarks, recorded["landmarks_xy"], 0, 1e-3)

    @parameterized.parameters("vote", "second_look")
    @pytest.mark.slow
    def test_published_weights_do_as_their_programs_unless_asked(self, name):
        path = testing.shared(*PYTORCH)
        for file, asked, expected in (
            (path, {}, False),
            (path, {name: True}, True),
            (None, {}, True),
            (None, {name: False}, False),
        ):
            options = load_detector(file, **asked).options
            self.assertEqual(getattr(options, name), expected)

    def test_backbone_from_imagenet(self):
        path = testing.shared("models", "detection", "mobilenet025_imagenet.npz")
        network = build_retinaface()
        head = network.get_layer("boxes1_conv").get_weights()[0]
        published.read_backbone(network, path)
        arrays = np.load(path)
        kernel = network.get_layer("stage2_3_pointwise_conv").get_weights()[0]
        expected = arrays["stage2.3.3.weight"].transpose(2, 3, 1, 0)
        self.assert_close(kernel, expected, 0, 0)
        kernel = network.get_layer("stage2_3_depthwise_conv").get_weights()[0]
        expected = arrays["stage2.3.0.weight"].transpose(2, 3, 0, 1)
        self.assert_close(kernel, expected, 0, 0)
        self.assert_close(network.get_layer("boxes1_conv").get_weights()[0], head)


class RefusedTest(testing.TestCase):
    def test_missing(self):
        with self.assertRaisesRegex(InputError, "no such file"):
            load_detector(self.tempdir() / "none.h5")

    @parameterized.parameters("weights.h5", "weights.keras", "weights.npz")
    def test_not_a_model(self, name):
        path = self.tempdir() / name
        path.write_bytes(b"not a model at all")
        with self.assertRaisesRegex(InputError, "neither a .keras nor an .h5"):
            load_detector(path)

    @parameterized.parameters(".keras", ".h5")
    def test_model_of_another_kind(self, ending):
        path = self.tempdir() / f"other{ending}"
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
        with self.assertRaisesRegex(InputError, "found a Sequential.*expected a face"):
            load_detector(path)

    def test_arrays_of_another_network(self):
        path = self.tempdir() / "arrays.npz"
        np.savez(path, first=np.zeros(3), second=np.ones(2))
        with self.assertRaisesRegex(InputError, "found arrays .*'first'.*expected"):
            load_detector(path)

    def test_one_array_missing_or_of_another_shape(self):
        arrays = dict(np.load(testing.shared(*PYTORCH)))
        folder, network = self.tempdir(), build_retinaface()  # one for both: it is dear
        build = mock.patch.object(model_files, "build", lambda *args: network)
        self.enter_context(build)
        del arrays["ssh2.conv5X5_1.1.running_var"]
        np.savez(folder / "missing.npz", **arrays)
        with self.assertRaisesRegex(InputError, "ssh2_5_1_norm holds .*expected"):
            load_detector(folder / "missing.npz")
        arrays["ssh2.conv5X5_1.1.running_var"] = np.ones(5, "float32")
        np.savez(folder / "shape.npz", **arrays)
        with self.assertRaisesRegex(InputError, "moving_variance.*\\(5,\\).*expected"):
            load_detector(folder / "shape.npz")

    def test_option_out_of_range(self):
        with self.assertRaisesRegex(ValueError, "`score_threshold` must lie in"):
            load_detector(score_threshold=2.0)


class DefaultTest(testing.TestCase):
    """Without a path: the catalogue's weights; by its name: the package `mtcnn`."""

    def test_catalogue(self):
        folder = self.tempdir()
        build_retinaface(width=4, channels=8).save(folder / "ours.keras")
        entry = weights.Weights(
            "detector", "ours.keras", "", "MIT", "", "", "ours.onnx", ""
        )
        self.enter_context_patch(weights, "CATALOGUE", {"d": entry})
        self.enter_context_patch(weights, "PACKAGED", folder)
        self.assertEqual(load_detector().name, "retinaface-mobilenet025")

    def test_without_weights(self):
        self.enter_context_patch(weights, "CATALOGUE", {})
        with self.assertRaisesRegex(InputError, "Give a file with --retina_path"):
            load_detector()
        detector = load_detector("mtcnn", score_threshold=0.9)
        self.assertEqual(detector.name, "mtcnn")
        self.assertEqual(detector.options.score_threshold, 0.9)

    def enter_context_patch(self, module, name, value):
        old = getattr(module, name)
        setattr(module, name, value)
        self.addCleanup(setattr, module, name, old)


class MtcnnTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.detector = MtcnnDetector()

    def test_finds_a_face_and_tells_left_from_right(self):
        path = testing.shared("faces", "lfw", "AJ_Cook", "AJ_Cook_0001.jpg")
        (box,), (points,), _ = vars(
            self.detector.detect(images.read_image(path))
        ).values()
        left, right, nose, mouth_left, mouth_right = points
        self.assertLess(left[0], nose[0])
        self.assertGreater(right[0], nose[0])
        self.assertLess(mouth_left[0], mouth_right[0])
        self.assertLess(max(left[1], right[1]), nose[1])
        self.assertGreater(min(mouth_left[1], mouth_right[1]), nose[1])
        self.assertLess(np.abs(points[:2] - [[103.5, 114.6], [146.7, 114.6]]).max(), 6)
        self.assertLess(np.abs(box - [86, 58, 180, 201]).max(), 20)

    @parameterized.parameters((64, 90), (5, 5), (11, 300), (1, 1))
    def test_no_face(self, height, width):
        self.assertEmpty(self.detector.detect(np.zeros((height, width, 3), np.uint8)))

    def test_batch_equals_one_by_one(self):
        folder = testing.shared("faces", "lfw", "Aaron_Peirsol")
        photos = [images.read_image(path) for path in sorted(folder.iterdir())[:3]]
        for image, found in zip(
            photos, self.detector.detect_batch(photos), strict=True
        ):
            alone = self.detector.detect(image)
            self.assertLen(found, len(alone))
            self.assert_close(found.landmarks, alone.landmarks, 1e-3, 1e-2)

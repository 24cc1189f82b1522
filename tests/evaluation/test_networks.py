"""Tests of the networks that measure: judges, pose, mesh, image networks, refusals."""

import dataclasses
import importlib.util
import pathlib

import cv2
import h5py
import keras
import numpy as np
import pytest

from facedancer.arcface_model import build_mobilefacenet, cosine, load_encoder
from facedancer.errors import InputError
from facedancer.evaluation.inputs.cache import Cache
from facedancer.evaluation.inputs.photos import Face, Photo
from facedancer.evaluation.instruments import (
    backbones,
    face_mesh,
    instruments,
    judges,
    pose_network,
    runtime,
)
from facedancer.evaluation.metrics import background
from facedancer.evaluation.plots import embedding_maps
from facedancer.face import alignment, pose
from facedancer.imaging.images import read_image
from facedancer.networks.image_networks import build_squeezenet
from facedancer.storage import files
from tests import testing
from tests.evaluation import fixtures

LANDMARKS = np.float32([[60, 60], [100, 60], [80, 85], [65, 105], [97, 105]])
CASIA = judges.JudgeInput(std=(0.50196,) * 3, columns=(8, 104))


def face_of(image, landmarks=LANDMARKS):
    low, high = landmarks.min(0) - 25, landmarks.max(0) + 25
    return Face(Photo.of_pixels("made", image), np.concatenate([low, high]), landmarks)


def real_faces():
    """Two photos of one person and one of another, with their faces."""
    folder = testing.shared("faces", "lfw")
    rows = (folder.parent / "lfw_faces.csv").read_text().splitlines()[1:]
    many = {}
    for row in rows:
        name, *numbers = row.split(",")
        many.setdefault(name.split("/")[0], []).append((name, np.float32(numbers)))
    people = [p for p in sorted(many) if len(many[p]) > 2][:2]
    chosen = [*many[people[0]][:2], many[people[1]][0]]
    return [
        Face(Photo.of_file(folder / n), v[:4], v[5:15].reshape(5, 2)) for n, v in chosen
    ]


class JudgeTest(testing.TestCase):
    @pytest.mark.slow
    def test_keras_judge_is_the_encoder(self):
        encoder = build_mobilefacenet(8, width=0.125, blocks=(1, 1, 1))
        path = self.tempdir() / "judge.keras"
        encoder.save(path)
        judge = judges.load_judge(path)
        self.assertEqual(judge.name, encoder.name_with_hash)
        face = face_of(fixtures.draw_face(1))
        crop = judge.cut(face.photo.read(), face)
        self.assertEqual(crop.shape, (112, 112, 3))
        found = judge.measure([face, face], Cache())
        signed = (crop[None].astype("float32") - 127.5) / 127.5
        expected = np.asarray(load_encoder(path)(signed))
        self.assert_close(found, np.repeat(expected, 2, 0), 1e-4, 1e-4)

    def test_tflite_judge_tells_people_apart(self):
        path = testing.shared("models", "recognition", "mobilefacenet_casia.tflite")
        judge = judges.load_judge(path, CASIA)
        one, same, other = judge.measure(real_faces(), Cache())
        self.assertEqual(one.shape, (128,))
        self.assertGreater(cosine(one, same), 0.4)
        self.assertLess(cosine(one, other), 0.3)

    def test_tflite_judge_wants_its_columns(self):
        path = testing.shared("models", "recognition", "mobilefacenet_casia.tflite")
        with self.assertRaisesRegex(InputError, r"\(112, 96, 3\), not \(112, 112, 3\)"):
            judges.load_judge(path)

    def test_columns_and_values(self):
        judge = judges.PortableJudge.__new__(judges.PortableJudge)
        judge.settings = judges.JudgeInput((0.0, 0.5, 1.0), (1.0, 0.5, 2.0), (8, 104))
        image = np.zeros((150, 160, 3), np.uint8)
        self.assertEqual(judge.cut(image, face_of(image)).shape, (112, 96, 3))
        white = judge._normalise(np.full((1, 1, 1, 3), 255, np.uint8))
        self.assert_close(white, np.float32([[[[1.0, 1.0, 0.0]]]]))
        judge.settings = dataclasses.replace(judge.settings, bgr=True)
        white = judge._normalise(np.full((1, 1, 1, 3), 255, np.uint8))
        self.assert_close(white, np.float32([[[[0.0, 1.0, 1.0]]]]))

    @pytest.mark.slow  # that blue comes first is tried above
    def test_a_judge_that_wants_blue_first(self):
        """The second judge knows faces of the right colours better."""
        path = testing.shared("models", "recognition", "judge_512.onnx")
        told = judges.JudgeInput(std=(0.50196,) * 3, bgr=True)
        judge = judges.load_judge(path, told)
        one, same, other = judge.measure(real_faces(), Cache())
        self.assertGreater(cosine(one, same) - cosine(one, other), 0.5)
        crop = np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3), np.uint8)
        flipped = judge.embedder.embed(crop[..., ::-1])
        self.assert_close(judge.run(crop), flipped)

    def test_settings_are_checked(self):
        with self.assertRaisesRegex(ValueError, "two numbers between 0 and 112"):
            judges.JudgeInput(columns=(50, 20))
        with self.assertRaisesRegex(ValueError, "three numbers each"):
            judges.JudgeInput(std=(1.0, 0.0, 1.0))

    def test_own_judge_is_refused(self):
        with self.assertRaisesRegex(InputError, "or learned the same .* figures"):
            judges.refuse_own("net@12345678", "net@12345678", allow=False)
        text = judges.refuse_own("net@12345678", "net@12345678", allow=True)
        self.assertIn("too good", text)
        self.assertEqual(judges.refuse_own("net@1", "net@2", allow=False), "")
        self.assertEqual(judges.refuse_own("net@1", "", allow=False), "")


class PoseNetworkTest(testing.TestCase):
    def test_keras_network(self):
        """A network that gives the means of B, G and R."""
        image = keras.Input((64, 64, 3))
        mean = keras.layers.GlobalAveragePooling2D()(image)
        path = self.tempdir() / "pose.keras"
        keras.Model(image, mean).save(path)
        network = pose_network.PoseNetwork([path])
        pixels = np.zeros((140, 170, 3), np.uint8)
        pixels[:] = (255, 0, 127)
        found = network.measure([face_of(pixels)], Cache())
        expected = (np.float32([127, 0, 255]) - 127.5) / 128.0
        self.assert_close(found, expected[None], 1e-3, 1e-3)

    def test_published_networks_agree_with_landmarks(self):
        folder = testing.shared("models", "pose")
        network = pose_network.PoseNetwork(sorted(folder.glob("*.onnx")))
        faces = []
        for face in real_faces():
            image = face.photo.read()
            box = face.box.copy()
            box[[0, 2]] = image.shape[1] - 1 - box[[2, 0]]
            mirrored = np.ascontiguousarray(image[:, ::-1])
            faces += [face, Face(Photo.of_pixels("m", mirrored), box, face.landmarks)]
        found = network.measure(faces, Cache())
        # A mirrored head looks the other way and as far up.
        self.assert_close(found[::2, 0], -found[1::2, 0], 0.0, 7.0)
        self.assert_close(found[::2, 1], found[1::2, 1], 0.0, 7.0)

    def test_refused(self):
        with self.assertRaisesRegex(InputError, "no such file"):
            pose_network.PoseNetwork(["/nowhere/pose.onnx"])
        path = self.tempdir() / "text.keras"
        path.write_text("no model")
        with self.assertRaisesRegex(InputError, "neither a .keras nor an .h5 model"):
            pose_network.PoseNetwork([path])


class FaceMeshTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        folder = testing.shared("models", "expression")
        path = folder / "face_landmarker_v2_with_blendshapes.task"
        self.mesh = face_mesh.FaceMesh(path)

    def test_points_lie_on_the_landmarks(self):
        for face in real_faces():
            crop = self.mesh.cut(face.photo.read(), face)
            points, shapes, score = face_mesh.split(self.mesh.run(crop[None]))
            self.assertGreater(score[0], 0.9)
            self.assertBetween(shapes.min(), 0.0, 1.0)
            self.assertBetween(shapes.max(), 0.0, 1.0)
            matrix = alignment.crop_matrix(face.landmarks, 384, "arcface", 0.45)
            places = alignment.apply(matrix, face.landmarks)
            eyes = np.linalg.norm(places[1] - places[0])
            # irises, tip of the nose, mouth corners
            found = points[0, [468, 473, 1, 61, 291], :2]
            apart = np.linalg.norm(found - places, axis=1) / eyes
            self.assertLess(np.median(apart), 0.12)

    def test_smile_is_seen(self):
        folder = testing.shared("faces", "portraits")
        rows = (folder.parent / "portraits_faces.csv").read_text().splitlines()[1:]
        smiles = {"neutral": [], "smiling": []}
        for row in rows:
            name, *numbers = row.split(",")
            kind = pathlib.Path(name).stem.split("_")[0]
            if kind in smiles and len(smiles[kind]) < 4:
                v = np.float32(numbers)
                photo = Photo.of_pixels(name, read_image(folder / name))
                smiles[kind].append(Face(photo, v[:4], v[5:15].reshape(5, 2)))
        shapes = [
            face_mesh.split(self.mesh.measure(faces, Cache()))[1][:, 44:46].mean()
            for faces in smiles.values()
        ]
        self.assertGreater(shapes[1], shapes[0] + 0.3)

    def test_refused(self):
        path = self.tempdir() / "no.task"
        path.write_text("nothing")
        with self.assertRaisesRegex(InputError, "not a Face Landmarker file"):
            face_mesh.FaceMesh(path)


class BackboneTest(testing.TestCase):
    def squeezenet_file(self):
        """Writes a file of weights in the published layout; returns it and them."""
        network = build_squeezenet(64)
        path = self.tempdir() / "weights.h5"
        with h5py.File(path, "w") as file:
            for layer in network.layers:
                if layer.weights:
                    group = file.create_group(layer.name.replace("_", "/"))
                    for number, weight in enumerate(layer.get_weights()):
                        group[f"some/name{number}"] = weight
        return path, network

    def test_squeezenet_from_a_file(self):
        path, network = self.squeezenet_file()
        backbone = backbones.load_backbone(path, size=64)
        self.assertTrue(backbone.name.startswith("squeezenet@"))
        crops = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8)
        bgr = crops[..., ::-1].astype("float32") - [103.939, 116.779, 123.68]
        taps = ["relu_conv1", *(f"fire{n}" for n in (3, 5, 6, 7, 8, 9))]
        inner = keras.Model(network.input, [network.get_layer(t).output for t in taps])
        expected = [np.asarray(one) for one in inner(bgr)]
        maps = backbone.maps(crops)
        self.assertEqual(
            [m.shape[-1] for m in maps], [64, 128, 256, 384, 384, 512, 512]
        )
        self.assert_close(maps, expected, 1e-4, 1e-4)
        self.assert_close(
            backbone.vectors(crops), expected[-1].mean(axis=(1, 2)), 1e-4, 1e-4
        )
        self.assertFalse(backbone.official)

    def test_whole_model(self):
        image = keras.Input((32, 32, 3))
        path = self.tempdir() / "net.keras"
        keras.Model(image, keras.layers.GlobalAveragePooling2D()(image)).save(path)
        backbone = backbones.load_backbone(path)
        crops = np.zeros((2, 32, 32, 3), np.uint8)
        self.assertEqual(backbone.size, 32)
        self.assert_close(backbone.vectors(crops), -np.ones((2, 3), "float32"))

    def test_refused(self):
        with self.assertRaisesRegex(InputError, "no such file"):
            backbones.load_backbone("/nowhere/net.h5")
        path = self.tempdir() / "net.h5"
        with h5py.File(path, "w") as file:
            file["other"] = [1.0]
        with self.assertRaisesRegex(InputError, "not a network that is known"):
            backbones.load_backbone(path)

    def test_channel_weights(self):
        path, _ = self.squeezenet_file()
        backbone = backbones.load_backbone(path, size=64)
        sizes = (64, 128, 256, 384, 384, 512, 512)
        weights = self.tempdir() / "weights.npz"
        np.savez(weights, **{str(i): np.ones(n) for i, n in enumerate(sizes)})
        found = backbones.read_channel_weights(weights, backbone)
        self.assertEqual([len(w) for w in found], list(sizes))
        np.savez(weights, **{str(i): np.ones(3) for i in range(7)})
        with self.assertRaisesRegex(InputError, "does not fit squeezenet@"):
            backbones.read_channel_weights(weights, backbone)
        np.savez(weights, other=np.ones(3))
        with self.assertRaisesRegex(InputError, "no channel weights"):
            backbones.read_channel_weights(weights, backbone)

    def test_more_distortion_is_a_larger_distance(self):
        folder = testing.shared("models", "perceptual")
        backbone = backbones.load_backbone(folder / "squeezenet_notop.h5")
        weights = backbones.read_channel_weights(
            folder / "lpips_linear_squeeze.npz", backbone
        )
        photo = instruments.wide_crop(
            real_faces()[0].photo.read(), real_faces()[0].landmarks, 128
        )
        blurred = [cv2.GaussianBlur(photo, (0, 0), s) for s in (1.0, 2.0, 6.0)]
        maps = backbone.maps(np.stack([photo, *blurred]))
        sharp = [one[:1].repeat(4, axis=0) for one in maps]
        levels = background.perceptual_maps(sharp, maps, weights)
        sums = sum(one.mean(axis=(1, 2)) for one in levels)
        self.assertEqual(sums[0], 0.0)
        self.assertEqual(sums.tolist(), sorted(sums.tolist()))


class InstrumentTest(testing.TestCase):
    def test_expression_embedder_colour_and_grey(self):
        for channels, expected in ((3, [1.0, 0.0, 0.0]), (1, [76 / 127.5 - 1.0])):
            image = keras.Input((24, 24, channels))
            network = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
            found = instruments.ExpressionEmbedder(network, "e@1").run(
                np.broadcast_to(np.uint8([255, 0, 0]), (3, 24, 24, 3))
            )
            self.assert_close(found, np.tile(np.float32(expected), (3, 1)), 1e-3, 1e-3)

    def test_box_crop_is_centred(self):
        image = np.zeros((100, 140, 3), np.uint8)
        image[40:61, 70:91] = 255  # centre (80, 50), side 20 between pixel centres
        crop = instruments.box_crop(image, [70, 40, 90, 60], 49, enlarge=1.0)
        rows, columns = np.nonzero(crop[..., 0] > 127)
        self.assertAlmostEqual(rows.mean(), 24.0, delta=0.3)
        self.assertAlmostEqual(columns.mean(), 24.0, delta=0.3)
        self.assertAlmostEqual(len(np.unique(rows)), 25, delta=1)

    @pytest.mark.slow
    def test_encoder_features_are_means_of_maps(self):
        encoder = build_mobilefacenet(8, width=0.125, blocks=(1, 1, 1))
        features = instruments.EncoderFeatures(encoder)
        found = features.run(np.zeros((2, 112, 112, 3), np.uint8))
        taps = [encoder.get_layer(tap).output.shape[-1] for tap in encoder.taps]
        self.assertEqual(found.shape, (2, sum(taps)))

    def test_key_depends_on_photo_and_place(self):
        image = fixtures.draw_face(0)
        face, moved = face_of(image), face_of(image, LANDMARKS + 1)
        other = face_of(255 - image)
        self.assertLen({face.key, moved.key, other.key}, 3)
        self.assertEqual(face.key, face_of(image.copy()).key)


class RuntimeTest(testing.TestCase):
    def test_file_hash(self):
        path = self.tempdir() / "abc"
        path.write_bytes(b"abc")
        self.assertTrue(files.file_hash(path).startswith("ba7816bf"))
        with self.assertRaisesRegex(InputError, "no such file"):
            files.file_hash(path.with_name("other"))

    def test_no_network(self):
        path = self.tempdir() / "net.onnx"
        path.write_text("nothing")
        with self.assertRaisesRegex(InputError, "not an ONNX model"):
            runtime.PortableNetwork(path)
        path = path.rename(path.with_suffix(".tflite"))
        with self.assertRaisesRegex(InputError, "cannot be read"):
            runtime.PortableNetwork(path)


class MapTest(testing.TestCase):
    def test_principal_components(self):
        random = np.random.default_rng(0)
        base = random.normal(size=(40, 2)) * [10.0, 3.0]
        turn, _ = np.linalg.qr(random.normal(size=(6, 6)))
        points, share = embedding_maps.principal(base @ turn[:2])
        covariance = np.cov((base @ turn[:2]).T)
        values = np.sort(np.linalg.eigvalsh(covariance))[::-1]
        self.assert_close(points.var(axis=0, ddof=1), values[:2])
        self.assert_close(share, values[:2] / values.sum())
        self.assert_close(embedding_maps.plane(base @ turn[:2], "pca"), points)

    def test_unknown_or_missing(self):
        with self.assertRaisesRegex(InputError, "must be of pca, tsne, umap"):
            embedding_maps.check(["pca", "other"])
        for method, (module, package) in embedding_maps._PACKAGES.items():
            if not importlib.util.find_spec(module):
                with self.assertRaisesRegex(InputError, f"needs {package}"):
                    embedding_maps.check([method])


class MadeFaceTest(testing.TestCase):
    def test_detector_and_pnp_see_the_pose_that_was_drawn(self):
        for angles in ((0, 0, 0), (25, -10, 8), (-30, 12, -15)):
            image = fixtures.draw_face(3, angles=angles)
            faces = fixtures.DotDetector().detect(image)
            found = pose.solve_pose(faces.landmarks[0])
            self.assert_close(found, np.float64(angles), 0.05, 2.5)

"""Tests of `facedancer.train.distillation`: the loss, the run, the settings."""

import dataclasses
import pathlib
from unittest import mock

import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import arcface_model, cli
from facedancer.imaging import images
from facedancer.train.distillation import agreement, distilling
from facedancer.train.distillation.settings import DistillSettings
from tests.train import tiny

SMALL = {"image_size": 32, "width": 0.125, "blocks": (1, 1, 1)}


@mock.patch.object(distilling, "NORM_BATCHES", 6)
class DistillTest(tiny.EagerTestCase):
    def test_relative_error_by_hand(self):
        target = keras.ops.convert_to_tensor([[3.0, 4.0], [1.0, 0.0]])
        output = keras.ops.convert_to_tensor([[0.0, 0.0], [1.0, 0.0]])
        error = agreement.relative_error(target, output)
        self.assert_close(error, np.array([1.0, 0.0]), atol=1e-5)

    def test_loss_by_hand(self):
        teacher = {"embedding": np.array([[2.0, 0.0]]), "t": np.ones((1, 2, 3, 1))}
        student = {"embedding": np.array([[0.0, 2.0]]), "s": np.zeros((1, 2, 3, 1))}
        loss = agreement.distillation_loss(
            *(
                {k: keras.ops.cast(v, "float32") for k, v in d.items()}
                for d in (teacher, student)
            ),
            [("s", "t")],
            0.25,
        )
        # one minus cosine 1, error (4 + 4) / 4 = 2, hint 0.25
        self.assert_close(loss, np.array([3.25]), atol=1e-4)

    def make_run(self, **changes):
        folder = self.tempdir()
        random = np.random.default_rng(0)
        for index in range(8):
            face = random.integers(0, 256, (28, 28, 3), np.uint8)
            path = folder / "faces" / f"p{index // 2}" / f"{index}.png"
            images.write_image(path, images.resize(face, 112))
        teacher = arcface_model.build_mobilefacenet(8, **SMALL | {"image_size": 48})
        teacher.save(folder / "teacher.keras")
        settings = DistillSettings(
            data_dir=str(folder / "faces"),
            eval_dir=str(folder / "faces"),
            teacher=str(folder / "teacher.keras"),
            output=str(folder / "student.keras"),
            steps=2,
            batch_size=2,
            eval_every=2,
            **SMALL,
        )
        return dataclasses.replace(settings, **changes)

    @pytest.mark.slow
    def test_runs_and_goes_on(self):
        settings = self.make_run()
        distilling.distill(settings)
        first = arcface_model.load_encoder(settings.output)
        self.assertEqual(first.embedding_size, 8)
        distilling.distill(dataclasses.replace(settings, steps=3))
        second = arcface_model.load_encoder(settings.output)
        self.assertNotEqual(first.name_with_hash, second.name_with_hash)

    @pytest.mark.slow
    def test_starts_from_another_student(self):
        settings = self.make_run(learning_rate=0.0, eval_dir="")
        start = arcface_model.build_mobilefacenet(8, **SMALL)
        path = str(pathlib.Path(settings.output).with_name("start.keras"))
        start.save(path)
        distilling.distill(dataclasses.replace(settings, init=path))
        found = arcface_model.load_encoder(settings.output)
        pairs = zip(start.trainable_weights, found.trainable_weights, strict=True)
        for expected, weight in pairs:
            self.assert_close(weight, expected)
        wider = {"init": path, "width": 0.25}
        with self.assertRaisesRegex(ValueError, "of other layers: set --width"):
            distilling.distill(dataclasses.replace(settings, **wider))

    def test_starts_from_a_student_for_another_size(self):
        """Where a picture is even, a resampled weighing of places sees the same."""
        start = arcface_model.build_mobilefacenet(8, **SMALL)
        path = str(self.tempdir() / "start.keras")
        start.save(path)
        larger = arcface_model.build_mobilefacenet(8, **SMALL | {"image_size": 80})
        distilling.start_from(larger, path)
        kernels = [
            np.asarray(x.get_layer("head_global").kernel) for x in (start, larger)
        ]
        self.assertEqual([k.shape[:2] for k in kernels], [(2, 2), (5, 5)])
        self.assert_close(*(k.sum(axis=(0, 1)) for k in kernels), atol=1e-4)
        others = zip(start.weights, larger.weights, strict=True)
        for before, after in others:
            if before.shape == after.shape:
                self.assert_close(after, before)

    @pytest.mark.slow
    def test_trains_without_norms(self):
        settings = self.make_run(steps=4, eval_every=4, eval_dir="")
        start = arcface_model.build_mobilefacenet(8, **SMALL)
        path = str(pathlib.Path(settings.output).with_name("start.keras"))
        start.save(path)
        told = {"init": path, "frozen_norms": True}
        still = dataclasses.replace(settings, learning_rate=0.0, **told)
        distilling.distill(still)
        crops = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 3))
        found = arcface_model.load_encoder(settings.output)
        self.assertEqual(found.get_config()["folded_from"], "")
        self.assert_close(found.get_layer("stage1_conv_bn").gamma, np.ones(8))
        before, after = (
            x.get_layer("stage4_block1_out").output for x in (start, found)
        )
        expected, got = (
            keras.Model(x.inputs, y)(crops)
            for x, y in ((start, before), (found, after))
        )
        self.assert_close(got, expected, rtol=1e-3, atol=1e-4)

    def test_norms_are_measured_with_the_weights_they_belong_to(self):
        settings = self.make_run()
        encoder = arcface_model.build_mobilefacenet(8, **SMALL)
        first = encoder.get_layer("stage1_conv")
        first.kernel.assign(3.0 * first.kernel)
        distilling.measure_norms(encoder, settings)
        crops = distilling.read_crops(images.list_images(settings.data_dir), 32)
        signed = encoder.contract.from_unit(crops / np.float32(255))
        maps = np.asarray(keras.Model(encoder.inputs, first.output)(signed))
        norm = encoder.get_layer("stage1_conv_bn")
        found = np.asarray(norm.moving_variance)
        # the faces are varied on the way, hence only nearly
        self.assert_close(found, maps.var(axis=(0, 1, 2)), rtol=0.7)

    def test_unknown_hint(self):
        with self.assertRaisesRegex(ValueError, "--hints: Unknown taps"):
            distilling.distill(
                self.make_run(hints=("no=stage2_block2_out",), eval_dir="")
            )

    @parameterized.parameters(
        ({"output": "x.h5"}, "must end in .keras"),
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"hints": ("a",)}, "student_layer=teacher_layer"),
        ({"frozen_norms": True}, "`frozen_norms` needs an encoder to start from"),
    )
    def test_refuses(self, changes, words):
        values = {"data_dir": "d", "teacher": "t", "output": "o.keras", **changes}
        with self.assertRaisesRegex(ValueError, words):
            DistillSettings(**values)

    def test_flags(self):
        words = ["--data_dir=d", "--teacher=t", "--output=o.keras", "--hints=a=b"]
        settings = cli.parse(DistillSettings, words)
        self.assertEqual(settings.hints, ("a=b",))
        self.assertEqual(settings.mixup, 0.5)

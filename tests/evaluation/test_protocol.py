"""The whole protocol on made faces: bounds, results of others, videos, refusals."""

import dataclasses
import functools
import json
import pathlib
import tempfile
from unittest import mock

import keras
import numpy as np
import pytest

from facedancer import cli
from facedancer.arcface_model import build_mobilefacenet
from facedancer.errors import InputError
from facedancer.evaluation import evaluate, options, protocol
from facedancer.evaluation.inputs import pairs
from facedancer.evaluation.inputs.cache import Cache
from facedancer.evaluation.inputs.locating import Locator
from facedancer.evaluation.inputs.photos import Photo
from facedancer.evaluation.instruments import judges
from facedancer.evaluation.measuring import experiments, swappers
from facedancer.evaluation.report import document
from facedancer.evaluation.settings import EvaluateSettings
from facedancer.imaging import images
from facedancer.models import GeneratorConfig, build_generator
from facedancer.video_swap.engines.keras_engine import KerasEngine
from facedancer.video_swap.swapping.networks import Networks
from tests import testing
from tests.evaluation import fixtures

PEOPLE = {0: 3, 1: 2, 2: 2, 3: 1}


@functools.cache
def tiny_judge():
    """One judge for all tests, so that its network is compiled once."""
    keras.utils.set_random_seed(0)
    return judges.KerasJudge(build_mobilefacenet(8, 48, width=0.125, blocks=(1, 1, 1)))


class ProtocolTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = pathlib.Path(cls.folder.name)
        fixtures.write_people(cls.root / "faces", PEOPLE)
        cls.judge = tiny_judge()
        cls.encoder = cls.judge.embedder.encoder
        image = keras.Input((32, 32, 3))
        mean = keras.layers.GlobalAveragePooling2D()(image)
        keras.Model(image, mean).save(cls.root / "features.keras")

    def setUp(self):
        super().setUp()
        detector = mock.patch.object(
            options, "load_detector", lambda path: fixtures.DotDetector()
        )
        judge = mock.patch.object(judges, "load_judge", lambda *_: self.judge)
        shipped = mock.patch.object(options.weights, "available", lambda _: False)
        for patch in (detector, judge, shipped):
            patch.start()
            self.addCleanup(patch.stop)

    def settings(self, **changes):
        defaults = {
            "out": str(self.tempdir() / "out"),
            "data_dir": str(self.root / "faces"),
            "judge_path": "judge.keras",
            "pairs": 12,
            "draws": 50,
            "rounds": 2,
        }
        return EvaluateSettings(**defaults | changes)

    def values_of(self, made):
        return {figure.key: figure.estimate.value for figure in made.figures}

    def test_copy_of_the_target(self):
        settings = self.settings(
            swapper="copy",
            same_share=0.25,
            features_path=str(self.root / "features.keras"),
        )
        self.assertEqual(evaluate.main(settings), cli.DONE)
        folder = pathlib.Path(settings.out)
        stored = document.read(folder)
        found = {k: v.estimate.value for k, v in stored.figures.items()}
        self.assertAlmostEqual(found["id_target"], 1.0, places=5)
        self.assertAlmostEqual(found["id_source"], found["id_before"], places=5)
        for key in ("pose_pnp_l2", "expr_landmarks", "frechet", "id_nearer"):
            self.assertAlmostEqual(found[key], 0.0, places=4, msg=key)
        for key in ("ssim_outside", "ssim_inside", "unchanged", "ssim_inside_same"):
            self.assertAlmostEqual(found[key], 1.0, places=6, msg=key)
        self.assertEqual(found["found"], 100.0)
        data = json.loads((folder / "report.json").read_text())
        self.assertEqual(
            data["counts"], {"asked for": 12, "measured": 12, "skipped": 0}
        )
        self.assertEqual(data["networks"]["judge"]["name"], self.encoder.name_with_hash)
        names = {study["key"] for study in data["studies"]}
        expected = {"similarity", "pose_pnp", "match_curve", "map_pca", "heat_map"}
        expected |= {"failures_identity", "failures_pose", "drift"}
        self.assertEqual(names, expected)
        drift = next(s for s in data["studies"] if s["key"] == "drift")
        self.assertEqual(drift["data"]["SSIM, first result"], [1.0, 1.0])
        page = (folder / "index.html").read_text()
        self.assertEqual(page.count("data:image/png"), len(names))
        self.assertLen((folder / "pairs.csv").read_text().splitlines(), 13)

    def test_results_equal_to_their_sources(self):
        """What is the source itself is found as the source, at rank 1, every time."""
        root = self.tempdir()
        photos = pairs.photos_by_label(self.root / "faces")
        triples = [
            dataclasses.replace(pair, swapped=pair.source)
            for pair in pairs.make_pairs(photos, 10, seed=1)
        ]
        pairs.write_pairs(root / "pairs.csv", triples)
        settings = self.settings(data_dir="", results=str(root), studies=("none",))
        made = protocol.evaluate(settings)
        found = self.values_of(made)
        self.assertNotIn("still show", " ".join(made.notes))
        self.assertAlmostEqual(found["id_source"], 1.0, places=5)
        for key in ("id_top1_image", "id_top1_centre", "id_top5_image"):
            self.assertEqual(found[key], 100.0, key)
        self.assertGreater(found["pose_pnp_l2"], 3.0)

    def test_paste_moves_identity_and_keeps_the_background(self):
        settings = self.settings(swapper="paste", studies=("look_alikes",))
        made = protocol.evaluate(settings)
        copied = protocol.evaluate(self.settings(swapper="copy", studies=("none",)))
        found, other = self.values_of(made), self.values_of(copied)
        self.assertGreater(found["id_source"], other["id_source"])
        self.assertLess(found["id_target"], other["id_target"])
        self.assertGreater(found["ssim_outside"], 0.98)
        self.assertLess(found["ssim_inside"], 0.9)
        # People with one photo or a small gallery have no list of look-alikes.
        self.assertNotIn("look_alike_top1", found)

    def test_photo_without_a_face_is_counted(self):
        root = self.tempdir()
        fixtures.write_people(root, {0: 2, 1: 1})
        images.write_image(
            root / "person_1" / "no.png", fixtures.draw_face(1, dots=False)
        )
        (root / "person_1" / "bad.png").write_bytes(b"nothing")
        rows = ["source,target", "person_0/0.png,person_1/0.png"]
        rows += ["person_0/1.png,person_1/no.png", "person_0/1.png,person_1/bad.png"]
        (root / "p.csv").write_text("\n".join(rows))
        settings = self.settings(
            data_dir="",
            pairs_csv=str(root / "p.csv"),
            swapper="copy",
            studies=("none",),
        )
        self.assertEqual(evaluate.main(settings), cli.PARTIAL)
        text = (pathlib.Path(settings.out) / "report.md").read_text()
        self.assertIn("no.png: no face was found or it is damaged", text)
        self.assertIn("1 measured, 2 skipped", text)

    def test_result_of_another_size_is_counted(self):
        root = self.tempdir()
        for role in ("source", "target", "swapped"):
            for number in range(3):
                photo = fixtures.draw_face(number, seed=number)
                images.write_image(root / role / f"{number}.png", photo)
        images.write_image(root / "swapped" / "2.png", np.zeros((9, 8, 3), np.uint8))
        settings = self.settings(data_dir="", results=str(root), studies=("none",))
        made = protocol.evaluate(settings)
        self.assertEqual(made.counts["skipped"], 1)
        notes = " ".join(made.notes)
        self.assertIn("8x9 pixels, but its target has 180x150", notes)

    def test_nothing_measured(self):
        root = self.tempdir()
        fixtures.write_people(root, {0: 1, 1: 1}, dots=False)
        settings = self.settings(data_dir=str(root), pairs=2, swapper="copy")
        with self.assertRaisesRegex(InputError, "None of 2 pairs could be measured"):
            protocol.evaluate(settings)

    def test_lost_face_is_a_figure(self):
        root = self.tempdir()
        for role in ("source", "target", "swapped"):
            for number in range(2):
                lost = role == "swapped" and number == 1
                photo = fixtures.draw_face(number, seed=9, dots=not lost)
                images.write_image(root / role / f"{number}.png", photo)
        settings = self.settings(data_dir="", results=str(root), studies=("none",))
        made = {f.key: f.estimate for f in protocol.evaluate(settings).figures}
        self.assertEqual(made["found"].value, 50.0)
        self.assertEqual(made["pose_pnp_l2"].count, 1)

    @pytest.mark.slow
    def test_cache_keeps_the_networks_idle(self):
        settings = self.settings(
            swapper="copy", studies=("none",), cache_dir=str(self.tempdir())
        )
        first = self.values_of(protocol.evaluate(settings))
        seen = []
        run = judges.KerasJudge.run

        def watched(judge, crops):
            seen.append(len(crops))
            return run(judge, crops)

        with mock.patch.object(judges.KerasJudge, "run", watched):
            again = self.values_of(protocol.evaluate(settings))
        self.assertEqual(first, again)
        # Only what the swapper made, and that only once, is measured again.
        targets = {row["target"] for row in protocol.evaluate(settings).rows}
        self.assertEqual(seen, [len(targets)])

    def test_refused_settings(self):
        for words, changes in (
            ("must be one of generator, copy, paste", {"swapper": "other"}),
            ("What is to be measured", {"data_dir": ""}),
            ("brings its own pairs", {"results": "x"}),
            ("`rounds` must be at least 1", {"rounds": 0}),
            ("`studies` .* Did you mean drift", {"studies": ("drfit",)}),
            ("--swapped_video needs --target_video", {"swapped_video": "x"}),
            ("needs --swapped_video or --swap_source", {"target_video": "x"}),
            ("--lpips_weights needs", {"lpips_weights": "x"}),
            ("--maps must be of", {"maps": ("other",)}),
        ):
            with self.assertRaisesRegex(ValueError, words):
                self.settings(**changes)
        path = self.tempdir() / "file"
        path.write_text("")
        with self.assertRaisesRegex(InputError, "is a file; give a folder"):
            options.check_out(self.settings(out=str(path)))
        listed = self.tempdir() / "pairs.csv"
        listed.write_text("")
        for inputs, words in (
            ({"data_dir": "", "results": str(listed.parent)}, "the folder --results"),
            ({"pairs_csv": str(listed)}, "must not be --pairs_csv, which would be"),
        ):
            with self.assertRaisesRegex(InputError, words):
                options.check_out(self.settings(out=str(listed.parent), **inputs))

    def test_own_judge_is_refused(self):
        swapper = mock.Mock(encoder_name=self.encoder.name_with_hash)
        swapper.name, swapper.swap = "made", swappers.CopySwapper().swap
        settings = self.settings(studies=("none",), pairs=3)
        with mock.patch.object(protocol, "_swapper", lambda _: swapper):
            with self.assertRaisesRegex(InputError, "--judge_path, or --allow_same"):
                protocol.evaluate(settings)
            settings = dataclasses.replace(settings, allow_same_judge=True)
            made = protocol.evaluate(settings)
        self.assertIn("are too good", made.notes[0])

    def test_without_another_judge_identity_is_left_out_and_said(self):
        swapper = mock.Mock(encoder_name=self.encoder.name_with_hash)
        swapper.name, swapper.swap = "made", swappers.CopySwapper().swap
        settings = self.settings(judge_path="", pairs=3)
        shipped = mock.patch.object(
            options.weights, "find_portable", lambda _: pathlib.Path(__file__)
        )
        with mock.patch.object(protocol, "_swapper", lambda _: swapper), shipped:
            made = protocol.evaluate(settings)
            again = protocol.evaluate(
                dataclasses.replace(settings, allow_same_judge=True, studies=("none",))
            )
        self.assertIn("Not measured: identity", made.notes[0])
        self.assertIn("--judge_path", made.notes[0])
        self.assertNotIn("judge", made.networks)
        keys = {figure.key for figure in made.figures}
        self.assertIn("pose_pnp_l2", keys)
        self.assertEqual(keys & {"id_source", "retrieval_image_1", "judge_auc"}, set())
        names = {study.key for study in made.studies}
        self.assertEqual(names, {"pose_pnp", "failures_pose"})
        self.assertIn("id_source", {figure.key for figure in again.figures})
        document.write(self.tempdir(), made)


class GeneratorTest(testing.TestCase):
    """A generator in the loop: studies that only it can do."""

    def setUp(self):
        super().setUp()
        config = GeneratorConfig(
            image_size=32,
            base_width=4,
            max_width=8,
            mapping_sizes=(8,),
            identity_size=8,
            encoder="other@00000000",
        )
        generator = build_generator(config)
        judge = tiny_judge()
        self.judge, self.locator = judge, Locator(fixtures.DotDetector(), Cache())
        networks = Networks(
            KerasEngine(generator),
            generator.contract,
            fixtures.DotDetector(),
            judge.embedder,
            {"generator": "tiny", "encoder": "other@00000000"},
        )
        self.swapper = swappers.GeneratorSwapper(networks, config.encoder)
        photos = [
            Photo.of_pixels(str(i), fixtures.draw_face(i, i, (5 * i, 0, 0)))
            for i in range(4)
        ]
        self.faces = self.locator.largest(photos)

    def test_only_the_face_changes_and_the_vector_matters(self):
        sources, targets = self.faces[:2], self.faces[2:]
        made = self.swapper.swap(sources, targets)
        other = self.swapper.swap_identities(np.ones((2, 8), "float32") * 9, targets)
        for result, changed, target in zip(made, other, targets, strict=True):
            image = target.photo.read()
            self.assertEqual(result.shape, image.shape)
            np.testing.assert_array_equal(result[:, :12], image[:, :12])
            self.assertTrue((result[60:90, 70:110] != image[60:90, 70:110]).any())
            self.assertTrue((result != changed).any())

    def test_values_that_are_no_numbers_stop_the_run(self):
        def engine(feeds):
            return {"swapped": feeds["target"] * np.nan}

        broken = dataclasses.replace(self.swapper.networks, engine=engine)
        swapper = swappers.GeneratorSwapper(broken)
        with self.assertRaisesRegex(InputError, "tiny gave values that are not finite"):
            swapper.swap(self.faces[:1], self.faces[1:2])

    def test_interpolation(self):
        study = experiments.interpolation(
            self.faces[0],
            self.faces[1],
            self.faces[2:],
            self.swapper,
            self.judge,
            self.locator,
            steps=3,
        )
        self.assertLen(study.data["first source"], 3)
        self.assertTrue(study.image.startswith(b"\x89PNG"))

    def test_drift_of_a_swapper_that_adds_brightness(self):
        class Brighter:
            def swap(self, sources, targets):
                return [
                    np.clip(t.photo.read().astype(int) + 6, 0, 255).astype(np.uint8)
                    for t in targets
                ]

        study = experiments.drift(
            self.faces[:2], self.faces[2:], Brighter(), self.judge, self.locator, 4
        )
        alike = study.data["SSIM, first result"]
        self.assertEqual(alike[0], 1.0)
        self.assertEqual(alike, sorted(alike, reverse=True))
        self.assertLess(alike[-1], 0.999)

    def test_heat_map_of_a_paste(self):
        people = {"a": self.faces[:2], "b": self.faces[2:]}
        study = experiments.heat_map(
            people, swappers.PasteSwapper(), self.judge, self.locator
        )
        self.assertEqual([count for _, count in study.data["groups"]], [2, 2, 2, 2])
        means = np.array(study.data["mean_cosine"], float)
        self.assert_close(means, means.T)
        self.assertGreater(means[0, 1], means[0, 3])  # A on B's photos is like A

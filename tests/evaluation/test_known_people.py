"""Generators that are told a number, or nothing, judged by photos of who they know."""

import json
import pathlib
from unittest import mock

import numpy as np
from absl.testing import parameterized

from facedancer import cli
from facedancer.errors import InputError
from facedancer.evaluation import evaluate, options, protocol
from facedancer.evaluation.inputs import known_people, pairs
from facedancer.evaluation.instruments import judges
from facedancer.evaluation.instruments.instruments import Instrument
from facedancer.evaluation.settings import EvaluateSettings
from facedancer.face import alignment
from facedancer.imaging import images
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.video_swap.swapping.networks import Networks
from tests import testing
from tests.evaluation import fixtures
from tests.video_swap import made

LABEL, NONE = IdentityInput("label", 2), IdentityInput("none", 0)


def write(folder, *names):
    for number, name in enumerate(names):
        path = folder / name
        images.write_image(path, fixtures.draw_face(number, number, size=(90, 110)))
    return folder


class FolderTest(testing.TestCase):
    def numbers(self, told, *names):
        folder = write(self.tempdir() / "ann", *names)
        found = known_people.read(folder).numbers(told)
        return {str(p.relative_to(folder.resolve())): n for p, n in found.items()}

    def test_in_the_order_of_their_names(self):
        found = self.numbers(LABEL, "zoe/1.png", "bob/2.png", "bob/1.png")
        self.assertEqual(found, {"bob/1.png": 0, "bob/2.png": 0, "zoe/1.png": 1})

    def test_by_number(self):
        told = IdentityInput("label", 12)
        found = self.numbers(told, "11_ann/1.png", "3/1.png")
        self.assertEqual(found, {"11_ann/1.png": 11, "3/1.png": 3})

    def test_called_as_the_generator_calls_them(self):
        told = IdentityInput("label", 3, names=("zoe", "2", "bob"))
        found = self.numbers(told, "bob/1.png", "2/1.png")
        self.assertEqual(found, {"bob/1.png": 2, "2/1.png": 1})
        self.assertEqual(self.numbers(told, "1_eve/1.png"), {"1_eve/1.png": 1})
        with self.assertRaisesRegex(
            InputError, r"\(zoe, 2, bob\), or .* ann, bob, cid"
        ):
            self.numbers(told, "ann/1.png", "bob/1.png", "cid/1.png")

    @parameterized.parameters((("1.png", "2.png"),), (("ann/1.png", "ann/2.png"),))
    def test_one_person(self, names):
        self.assertEqual(self.numbers(NONE, *names), dict.fromkeys(names, 0))

    @parameterized.parameters(
        (LABEL, ("ann/1.png",), "for each of the 2 people .* with 1: ann"),
        (LABEL, ("0/1.png", "2_bob/1.png"), "NUMBER_NAME. Received: .*0, 2_bob"),
        (LABEL, ("1_ann/1.png", "1_bob/1.png"), "Received"),
        (NONE, ("ann/1.png", "bob/1.png"), "photos of the one person .* ann, bob"),
    )
    def test_refused(self, told, names, message):
        with self.assertRaisesRegex(InputError, message):
            self.numbers(told, *names)

    def test_pairs(self):
        names = ("0_ann/1.png", "0_ann/2.png", "1_bob/1.png")
        known = known_people.read(write(self.tempdir() / "known", *names))
        targets = {"ann": [pathlib.Path("a")], "eve": [pathlib.Path(x) for x in "ef"]}
        found = known_people.make_pairs(known, targets, 7, seed=1)
        self.assertEqual(found, known_people.make_pairs(known, targets, 7, seed=1))
        self.assertNotEqual(found, known_people.make_pairs(known, targets, 7, seed=2))
        self.assertLen(set(found), 7)  # ann on eve 4, bob on ann 1, bob on eve 2
        self.assertNotIn(
            ("ann", "ann"), {(p.source_label, p.target_label) for p in found}
        )
        with self.assertRaisesRegex(InputError, "give 7 pairs .* Received: --pairs=8"):
            known_people.make_pairs(known, targets, 8, seed=1)


class MeanColour(Instrument):
    """Judges by the colours of five parts of the face."""

    role, name = "identity", "colours@0"

    def cut(self, image, face):
        x, y = np.rint(face.landmarks[2]).astype(int)
        return image[y - 20 : y + 20, x - 16 : x + 16]

    def run(self, crops):
        parts = crops[:, ::8].astype("f4").mean(axis=2).reshape(len(crops), -1)
        return parts - parts.mean()


class ProtocolTest(testing.TestCase):
    """The engine shows who is asked for: the known people's own crops, by number."""

    def setUp(self):
        super().setUp()
        root = self.tempdir()
        fixtures.write_people(root / "others", {5: 2, 6: 2})
        for person, name in enumerate(("0_ann", "1_bob")):
            for number in range(2):
                path = root / "known" / name / f"{number}.png"
                image = fixtures.draw_face(person, 50 + number, (4.0 * number, 0, 0))
                images.write_image(path, image)
        self.root, self.told, self.asked = root, LABEL, []
        patches = (
            mock.patch.object(options, "load_detector", self.detector),
            mock.patch.object(judges, "load_judge", lambda *_: MeanColour()),
            mock.patch.object(options.weights, "available", lambda _: False),
            mock.patch.object(protocol, "load_networks", self.networks),
        )
        for patch in patches:
            self.enterContext(patch)

    def detector(self, *args):
        return fixtures.DotDetector()

    def networks(self, settings):
        image = InputContract(64, "signed")
        fed = {"label": ("label",), "none": (), "vector": ("identity",)}
        fed = ("target", *fed[self.told.kind])
        return Networks(
            self.engine,
            SwapContract(image, self.told, fed),
            fixtures.DotDetector(),
            made.ColourEmbedder(),
            {"generator": "knows@1", "encoder": ""},
        )

    def engine(self, feeds):
        labels = feeds.get("label", np.zeros((len(feeds["target"]), 1), np.int32))
        self.asked += labels[:, 0].tolist()
        return {"swapped": np.stack([self.crop_of(k) for k in labels[:, 0]])}

    def crop_of(self, number):
        name = ("0_ann", "1_bob")[number]
        photo = images.read_image(self.root / "known" / name / "0.png")
        landmarks = fixtures.DotDetector().detect(photo).landmarks[0]
        crop = alignment.crop(photo, alignment.crop_matrix(landmarks, 64), 64)
        return crop.astype("f4") / 127.5 - 1.0

    def settings(self, **changes):
        given = {
            "out": str(self.tempdir() / "out"),
            "data_dir": str(self.root / "others"),
            "known_dir": str(self.root / "known"),
            "pairs": 12,
            "draws": 20,
            "rounds": 1,
            "studies": ("heat_map", "drift", "interpolation"),
        }
        return EvaluateSettings(**given | changes)

    def test_a_number_is_told_for_each_source(self):
        settings = self.settings()
        self.assertEqual(evaluate.main(settings), cli.DONE)
        data = json.loads((pathlib.Path(settings.out) / "report.json").read_text())
        self.assertEqual(data["counts"]["measured"], 12)
        self.assertEqual(set(self.asked), {0, 1})
        keys = {study["key"] for study in data["studies"]}
        self.assertLessEqual({"heat_map", "drift"}, keys)
        self.assertIn("only a generator told vectors", " ".join(data["notes"]))

    def test_who_is_asked_for_is_who_is_found(self):
        report = protocol.evaluate(self.settings(studies=("none",)))
        values = {f.key: f.estimate.value for f in report.figures}
        self.assertGreater(values["id_source"], values["id_target"])
        self.assertEqual(values["id_nearer"], 100.0)

    def test_the_wrong_number_is_seen(self):
        right = self.crop_of
        self.crop_of = lambda number: right(1 - number)
        report = protocol.evaluate(self.settings(studies=("none",)))
        values = {f.key: f.estimate.value for f in report.figures}
        self.assertLess(values["id_top1_image"], 50.0)

    def test_one_that_is_told_nothing(self):
        self.told = NONE
        known = str(self.root / "known" / "0_ann")
        report = protocol.evaluate(self.settings(known_dir=known, pairs=6))
        self.assertEqual(report.counts["measured"], 6)
        self.assertEqual({row["source_label"] for row in report.rows}, {"ann"})
        self.assertEqual(set(self.asked), {0})

    def test_pairs_of_a_list(self):
        source = self.root / "known" / "1_bob" / "1.png"
        target = self.root / "others" / "person_5" / "0.png"
        path = self.root / "pairs.csv"
        pairs.write_pairs(path, [pairs.Pair(source, target, "bob", "5")])
        settings = self.settings(pairs_csv=str(path), data_dir="", studies=("none",))
        self.assertEqual(protocol.evaluate(settings).counts["measured"], 1)
        self.assertEqual(self.asked, [1])
        pairs.write_pairs(path, [pairs.Pair(target, source, "5", "bob")])
        with self.assertRaisesRegex(InputError, "must be a photo of --known_dir. Rec"):
            protocol.evaluate(settings)

    def test_refused(self):
        for told, words in ((LABEL, "a person's number"), (NONE, "nothing")):
            self.told = told
            message = f"give --known_dir. Received: knows@1, which is told {words}"
            with self.assertRaisesRegex(InputError, message):
                protocol.evaluate(self.settings(known_dir="", pairs=4))
        self.told = IdentityInput("vector", 8)
        with self.assertRaisesRegex(InputError, "leave it out. Received: knows@1"):
            protocol.evaluate(self.settings())
        with self.assertRaisesRegex(ValueError, "leave out --results and --same_share"):
            self.settings(same_share=0.5)

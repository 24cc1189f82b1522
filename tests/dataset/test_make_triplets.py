"""Tests of edits whose right answer is known: what they change, files, bad input."""

import json

import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import cli, retinaface
from facedancer.arcface_model.loading import load_embedder
from facedancer.dataset import make_triplets, triplet_sharding
from facedancer.dataset.edits import occluders, parts, swaps
from facedancer.dataset.reading import triplet_reader
from facedancer.dataset.shards import records
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.imaging import images, sample_photos
from facedancer.networks.vectors import cosine
from tests import testing

SIZE = 64
MARKS = alignment.template(SIZE)


def photo(seed=0, size=SIZE):
    """Smooth skin-like noise, darker above: hair."""
    random = np.random.default_rng(seed)
    image = random.integers(120, 200, (size, size, 3), dtype=np.uint8)
    image[: size // 6] //= 4
    return image


def crops(folder, people=3, each=2):
    for person in range(people):
        for number in range(each):
            path = folder / f"person{person}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            images.write_image(path, photo(10 * person + number))
    return folder


def changed(edited, before):
    """Rows and columns that an edit touched, as fractions of the side."""
    apart = np.abs(edited.astype(int) - before).max(axis=2) > 8
    rows, columns = np.flatnonzero(apart.any(1)), np.flatnonzero(apart.any(0))
    return apart.mean(), rows / SIZE, columns / SIZE


class PartsTest(testing.TestCase):
    def edit(self, kind, seed=1, marks=MARKS):
        random = np.random.default_rng(seed)
        return parts.PARTS[kind](photo(), marks, random).over(photo())

    @parameterized.parameters("glasses", "sunglasses")
    def test_glasses_lie_on_the_eyes(self, kind):
        part, rows, columns = changed(self.edit(kind), photo())
        self.assertBetween(part, 0.02, 0.35)
        eyes = MARKS[:2, 1].mean() / SIZE
        self.assertBetween(eyes, rows.min(), rows.max())
        self.assertLess(rows.max() - rows.min(), 0.4)
        self.assertLess(columns.min(), MARKS[0, 0] / SIZE)
        self.assertGreater(columns.max(), MARKS[1, 0] / SIZE)

    def test_sunglasses_are_dark_where_glasses_are_clear(self):
        x, y = np.rint(MARKS[0]).astype(int)
        clear, dark = (
            self.edit(kind)[y, x].mean() for kind in ("glasses", "sunglasses")
        )
        self.assertGreater(clear, 100)
        self.assertLess(dark, 70)

    def test_a_beard_leaves_eyes_and_lips(self):
        part, rows, _ = changed(self.edit("beard"), photo())
        self.assertBetween(part, 0.08, 0.5)
        self.assertGreater(rows.min(), MARKS[:2, 1].max() / SIZE)
        mouth = np.rint(MARKS[3:].mean(axis=0)).astype(int)
        found = self.edit("beard")[mouth[1], mouth[0]].astype(int)
        self.assertLess(np.abs(found - photo()[mouth[1], mouth[0]]).max(), 25)

    def test_hair_of_the_photo_over_the_forehead(self):
        edited = self.edit("forehead_hair")
        part, rows, _ = changed(edited, photo())
        self.assertBetween(part, 0.05, 0.6)
        self.assertLess(rows.max(), MARKS[2, 1] / SIZE)
        strip = edited[SIZE // 6 : SIZE // 5, SIZE // 3 : -SIZE // 3]
        self.assertLess(strip.mean(), 90)  # dark, as above

    def test_turned_with_the_face(self):
        turned = MARKS + np.array([[4, 0], [-2, 0], [8, 0], [4, 0], [0, 0]])
        ahead, aside = self.edit("glasses"), self.edit("glasses", marks=turned)
        self.assertFalse(np.array_equal(ahead, aside))

    def test_occluders_cover_a_part(self):
        sizes = []
        for seed in range(8):
            random = np.random.default_rng(seed)
            part = occluders.occluder(photo(), MARKS, photo(5), random)
            self.assertBetween(part.cover.max(), 0.9, 1.0)
            sizes.append(part.cover.mean())
        self.assertBetween(min(sizes), 0.01, 0.3)
        self.assertLess(max(sizes), 0.7)
        self.assertGreater(np.ptp(sizes), 0.01)


def portrait(name, size=128):
    image = sample_photos.read(name)
    face = retinaface.load_detector().detect(image)
    matrix = alignment.crop_matrix(face.landmarks[0], size)
    return alignment.crop(image, matrix, size), alignment.apply(
        matrix, face.landmarks[0]
    )


class SwapTest(testing.TestCase):
    def test_somebody_else_in_the_same_surroundings(self):
        crop, marks = portrait("collins")
        other, _ = portrait("hopper")
        changer = swaps.FaceChanger("", "", alignment.Alignment())
        found = changer.change(crop, marks, other, np.random.default_rng(0))
        embedder = load_embedder()
        size = embedder.encoder.contract.size
        vectors = embedder.embed(
            np.stack([images.resize(one, size) for one in (crop, other, found)])
        )
        self.assertLess(cosine(vectors[0], vectors[2]), 0.75)
        self.assertGreater(
            cosine(vectors[1], vectors[2]), cosine(vectors[1], vectors[0]) + 0.1
        )
        self.assert_close(found[:, :6], crop[:, :6], atol=0)
        apart = np.abs(found.astype(int) - crop).mean()
        self.assertBetween(apart, 1.0, 40.0)

    def test_bad_networks(self):
        with self.assertRaisesRegex(InputError, "must be an ONNX file"):
            swaps.FaceChanger(
                str(self.tempdir() / "a.keras"), "", alignment.Alignment()
            )
        with self.assertRaisesRegex(InputError, "aligned in another way"):
            swaps.FaceChanger("", "", alignment.Alignment(shrink=0.8))


class ProgramTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.data = crops(self.tempdir() / "aligned")
        self.edits = self.tempdir() / "edits"

    def settings(self, **options):
        return make_triplets.MakeTripletSettings(
            str(self.data), str(self.edits), **{"count": 2, **options}
        )

    def files(self):
        return {
            str(path.relative_to(self.edits)): path.read_bytes()
            for path in self.edits.rglob("*.*")
            if path.is_file()
        }

    def test_all_kinds_become_triplets(self):
        self.assertEqual(make_triplets.main(self.settings()), cli.DONE)
        target = self.tempdir() / "triplets"
        manifests, left_out = triplet_sharding.write_sets(
            triplet_sharding.TripletShardSettings(str(target), str(self.edits))
        )
        self.assertEqual(left_out, [])
        counts = {name: one["count"] for name, one in manifests.items()}
        twice = {"edits_forehead_hair", "edits_glasses", "edits_sunglasses"}
        names = {f"edits_{kind}" for kind in make_triplets.KINDS}
        self.assertEqual(counts, {k: 4 if k in twice else 2 for k in names})
        self.assertEqual(manifests["edits_beard"]["alignment"]["shrink"], 1.0)
        (path, *_) = sorted(target.glob("edits_occluder_*.records"))
        features = records.decode_example(next(iter(records.read_records(path))))
        source, shown, truth = (
            images.read_photo(features[role]).pixels for role in triplet_reader.ROLES
        )
        self.assert_close(shown, truth, atol=0)  # what covers the face stays
        self.assertGreater(np.abs(source.astype(int) - truth).max(), 50)

    def test_same_flags_same_files(self):
        kinds = ("beard", "occluder")
        make_triplets.write_edits(self.settings(kinds=kinds))
        whole = self.files()
        self.assertIn("report.jsonl", whole)
        for edited in self.edits.glob("beard/**/*.edited.png"):
            edited.unlink()
        report = self.edits / "report.jsonl"
        rows = report.read_text().splitlines(keepends=True)
        report.write_text("".join(row for row in rows if '"occluder"' in row))
        make_triplets.write_edits(self.settings(kinds=kinds))
        self.assertEqual(self.files(), whole)
        with self.assertRaisesRegex(InputError, "edits made with other flags"):
            make_triplets.write_edits(self.settings(kinds=kinds, seed=1))

    def test_a_larger_count_begins_alike(self):
        make_triplets.write_edits(self.settings(kinds=("glasses",)))
        few = self.files()
        self.edits = self.tempdir() / "more"
        make_triplets.write_edits(self.settings(kinds=("glasses",), count=4))
        many = self.files()
        self.assertLen([name for name in many if name.endswith(".edited.png")], 4)
        for name, data in few.items():
            if name.endswith(".png"):
                self.assertEqual(many[name], data, name)

    def test_originals_are_the_photos(self):
        make_triplets.write_edits(self.settings(kinds=("occluder",)))
        for path in self.edits.rglob("*.original.png"):
            name = path.name.replace(".original", "")
            self.assertEqual(
                path.read_bytes(), (self.data / path.parent.name / name).read_bytes()
            )

    def test_landmarks_of_the_report(self):
        moved = (MARKS + [0, 9]).tolist()
        faces = [{"output": "person0/0.png", "crop_landmarks": moved}]
        line = {"path": "person0/0.png", "status": "done", "faces": faces}
        (self.data / "report.jsonl").write_text(json.dumps(line) + "\n")
        found = make_triplets.candidates.read(str(self.data), alignment.Alignment())
        self.assert_close(found.landmarks[0], np.array(moved), atol=1e-9)
        self.assert_close(found.landmarks[1], MARKS, atol=1e-9)

    def test_turned_faces_get_no_part(self):
        turned = MARKS.copy()
        turned[2, 0] += 14.0
        faces = [{"output": "person0/0.png", "crop_landmarks": turned.tolist()}]
        line = {"path": "person0/0.png", "status": "done", "faces": faces}
        (self.data / "report.jsonl").write_text(json.dumps(line) + "\n")
        random = np.random.default_rng(0)
        found = make_triplets.candidates.read(str(self.data), alignment.Alignment())
        self.assertNotIn(0, found.turned_less(20.0, random))
        self.assertIn(0, found.turned_less(90.0, random))

    def test_a_photo_that_cannot_be_edited(self):
        images.write_image(self.data / "person0" / "0.png", photo()[:40])
        (self.data / "report.jsonl").write_text(
            json.dumps(
                {
                    "path": "person0/0.png",
                    "status": "done",
                    "faces": [
                        {"output": "person0/0.png", "crop_landmarks": MARKS.tolist()}
                    ],
                }
            )
            + "\n"
        )
        status = make_triplets.main(self.settings(kinds=("glasses",), count=6))
        self.assertEqual(status, cli.PARTIAL)
        lines = (self.edits / "report.jsonl").read_text().splitlines()
        (bad,) = [one for one in map(json.loads, lines) if one["why"]]
        self.assertIn("aligned crops are square. Received: 64x40", bad["why"])

    def test_bad_input(self):
        with self.assertRaisesRegex(InputError, "two people or more.*1 folders"):
            self.data = crops(self.tempdir() / "alone", people=1)
            make_triplets.main(self.settings())
        self.data = crops(self.tempdir() / "again")
        self.edits = self.tempdir()
        (self.edits / "mine.txt").write_text("mine")
        with self.assertRaisesRegex(InputError, "holds mine.txt, which this program"):
            make_triplets.main(self.settings())

    def test_nobody_with_two_photos(self):
        self.data = crops(self.tempdir() / "singles", each=1)
        with self.assertRaisesRegex(InputError, "no photo in it could be edited"):
            make_triplets.main(self.settings(kinds=("edited_target",)))


def test_flags():
    with pytest.raises(ValueError, match="kinds"):
        make_triplets.MakeTripletSettings("a", "b", kinds=("moustache",))

"""Batches of portraits: who is in them, how copies are distorted, what is refused."""

import json

import numpy as np

from facedancer.dataset.reading import portrait_reader, portraits
from facedancer.dataset.reading.portrait_reader import (
    PeopleReader,
    PortraitSettings,
    TwoPeopleReader,
)
from facedancer.dataset.shards import records
from facedancer.errors import InputError
from tests import testing
from tests.dataset import fixtures


def write(folder, people, name="duo_train"):
    """Shards of photos `folder/number.png` of a colour each, by the label's name."""
    number, examples = 0, []
    for identity, (path, count) in enumerate(people.items()):
        for _ in range(count):
            data = fixtures.coded(10 * number, (36, 36))
            features = {"face": data, "identity": identity, "identity_name": path}
            features["path"] = f"{path}/{number}.png"
            examples.append(records.encode_example(features))
            number += 1
    records.write_records(folder / f"{name}_00000-of-00001.records", examples)
    content = {
        "plan": "p",
        "count": number,
        "folders": sorted({path.split("/")[0] for path in people}),
        "shards": [],
        "identities": people,
    }
    (folder / f"{name}.manifest.json").write_text(json.dumps(content))
    return str(folder / f"{name}*.records")


def settings(data_dir, **changes):
    values = {"batch_size": 4, "image_size": 24, "jitter": "none", "seed": 3}
    return PortraitSettings(data_dir, **values | {"on_corrupt": "skip"} | changes)


class TwoPeopleTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.data = write(self.tempdir(), {"anna": 3, "ben": 5})

    def photos(self, reader, number, side):
        """Which photos a batch has, by their red."""
        batch = reader.arrays(number)
        return [round(one[0, 0, 0] / 10) for one in batch[f"photo_{side}"]]

    def test_each_side_shows_one_person_and_all_photos(self):
        reader = TwoPeopleReader(settings(self.data))
        self.assertEqual([one.name for one in reader.people], ["anna", "ben"])
        a = [n for k in range(3) for n in self.photos(reader, k, "a")]
        b = [n for k in range(5) for n in self.photos(reader, k, "b")]
        self.assertEqual(np.bincount(a).tolist(), [4, 4, 4])
        self.assertEqual(np.bincount(b).tolist(), [0, 0, 0, 4, 4, 4, 4, 4])
        again = TwoPeopleReader(settings(self.data))
        self.assertEqual(self.photos(again, 4, "b"), b[16:])

    def test_rows_are_those_of_the_batch(self):
        changes = {"distortion": "warp", "affine": "faceswap_gan", "part_swap": 0.5}
        changes |= {"colour_match": 0.5, "motion_blur": 0.5, "low_quality": 0.5}
        reader = TwoPeopleReader(settings(self.data, **changes))
        whole = reader.images(2, 0, 4)[0]
        self.assertEqual(whole.shape, (8, 4, 24, 24, 3))
        for start in (0, 2):
            part = reader.images(2, start, start + 2)[0]
            self.assert_close(part, whole[:, start : start + 2], atol=0)
        by_name = dict(zip(reader.names, whole, strict=True))
        apart = by_name["photo_a"].astype(int) - by_name["distorted_a"]
        self.assertGreater(np.abs(apart).max(), 10)

    def test_copies_are_distorted_and_features_with_them(self):
        """A photo that is its own features stays so, straight and distorted."""
        plain = TwoPeopleReader(settings(self.data)).arrays(0)
        self.assert_close(plain["photo_a"], plain["distorted_a"], atol=0)
        self.assert_close(plain["features_a"], plain["distorted_features_a"], atol=0)
        reader = TwoPeopleReader(settings(self.data, distortion="warp"))
        side = reader.changes.read_size
        self.assertEqual(side, 36)
        known = portrait_reader.face_maps.semantic_mask(reader._landmarks(0), side)
        picture = (255 * known).astype(np.uint8)
        reader.good_photo = lambda photo: (picture, photo)
        reader.cache._read = reader.good_photo
        batch = reader.arrays(1)
        for side in ("a", "b"):
            self.assert_close(batch[f"photo_{side}"], batch[f"features_{side}"], 0)
            distorted = batch[f"distorted_features_{side}"]
            self.assert_close(batch[f"distorted_{side}"], distorted, 0)
            self.assertFalse(np.array_equal(batch[f"photo_{side}"], distorted))

    def test_faces_stay_as_large_as_in_the_photo(self):
        """On average over warps; what a swap is given later is a whole photo."""
        reader = TwoPeopleReader(settings(self.data, distortion="warp"))
        side = reader.changes.read_size
        picture = np.zeros((side, side, 3), np.uint8)
        picture[side // 3 : -side // 3, side // 3 : -side // 3] = 255
        reader.cache._read = lambda photo: (picture, photo)
        batches = [reader.arrays(k) for k in range(8)]
        for name in ("photo_a", "distorted_b"):
            shares = [batch[name].mean() / picture.mean() for batch in batches]
            self.assertAlmostEqual(np.mean(shares), 1.0, delta=0.12)

    def test_films_of_one_person_are_one(self):
        """Two folders at the top; each film gets the same share if that is wanted."""
        people = {"anna/film1": 2, "anna/film2": 6, "ben/film": 2}
        data = write(self.tempdir(), people)
        reader = TwoPeopleReader(settings(data, balance="identity"))
        self.assertEqual([one.name for one in reader.people], ["anna", "ben"])
        found = [n for k in range(50) for n in self.photos(reader, k, "a")]
        self.assertLess(abs(np.mean(np.array(found) < 2) - 0.5), 0.12)

    def test_one_against_all(self):
        data = write(self.tempdir(), {"ann": 2, "ben": 2, "cid": 3})
        with self.assertRaisesRegex(
            InputError, r"must show two people.*Received: 3 \(ann, ben, cid\)"
        ):
            TwoPeopleReader(settings(data))
        reader = TwoPeopleReader(settings(data, person="ben"))
        self.assertEqual(self.photos(reader, 0, "a").count(2), 2)
        self.assertNotIn(2, self.photos(reader, 0, "b"))
        with self.assertRaisesRegex(InputError, "have no person 'eve'"):
            TwoPeopleReader(settings(data, person="eve"))

    def test_refusals(self):
        data = write(self.tempdir(), {"anna": 1, "ben": 5})
        for kind in (TwoPeopleReader, PeopleReader):
            with self.assertRaisesRegex(InputError, "^anna has 1 photo in the shards"):
                kind(settings(data))
        with self.assertRaisesRegex(ValueError, "`part_swap` must lie in"):
            settings(data, part_swap=2.0)
        with self.assertRaisesRegex(ValueError, "must be per_image or none"):
            settings(data, jitter="legacy")

    def test_a_part_of_somebody_else(self):
        image, other = np.zeros((2, 48, 48, 3), np.uint8)
        other[:] = 200
        landmarks = portrait_reader.alignment.template(48)
        mask = portrait_reader.face_maps.semantic_mask(landmarks, 48)
        features = (255 * mask).astype(np.uint8)
        eye, mouth = landmarks[0].astype(int), landmarks[3:].mean(0).astype(int)
        for part, (inside, outside) in enumerate(((eye, mouth), (mouth, eye))):
            found = portrait_reader.with_part(image, other, features, part)
            self.assertGreater(found[inside[1], inside[0], 0], 150)
            self.assertEqual(found[outside[1], outside[0], 0], 0)


class PeopleTest(testing.TestCase):
    def test_labels_are_places_in_the_sorted_names(self):
        data = write(self.tempdir(), {"cid": 2, "ann": 3, "ben": 3})
        reader = PeopleReader(settings(data))
        names = [one.name for one in reader.people]
        self.assertEqual(names, ["ann", "ben", "cid"])
        (first,) = (
            one for one in portraits.make_dataset(PeopleReader, settings(data)).take(1)
        )
        batch = reader.arrays(0)
        self.assertEqual(first["label"].numpy().tolist(), batch["label"].tolist())
        for image, label in zip(batch["photo"], batch["label"], strict=True):
            photo = round(image[0, 0, 0] / 10)
            self.assertEqual(
                names[label], ("cid" if photo < 2 else "ann" if photo < 5 else "ben")
            )
        signed = batch["photo"].astype("float32") / 127.5 - 1.0
        self.assert_close(first["photo"], signed, atol=1e-5)

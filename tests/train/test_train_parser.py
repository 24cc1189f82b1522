"""Tests of the face parser's training: photos, covers, loss, overlap, program."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from facedancer.errors import InputError
from facedancer.face import alignment, face_classes, face_labels
from facedancer.face.faces import Faces
from facedancer.imaging import images
from facedancer.models.families.face_parser import loading
from facedancer.models.families.face_parser.config import FaceParserConfig
from facedancer.train import train_parser
from facedancer.train.parsing import (
    class_overlap,
    covers,
    fitting,
    overlap_losses,
    parsed_photos,
    views,
)
from facedancer.train.parsing.settings import TrainParserSettings
from tests import testing

SIZE = 96, 112  # height, width
POINTS = np.array([[45, 42], [67, 42], [56, 52], [48, 64], [64, 64]], np.float64)
SMALL = {"stem": 3, "widths": (4, 5, 6), "blocks": (1, 1, 1), "decoder": 4, "fine": 3}


def parsed(seed=0):
    """A noisy picture with a bright disc of skin, two eyes, hair and a dark rest."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 60, (*SIZE, 3)).astype(np.uint8)
    classes = np.zeros(SIZE, np.uint8)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (x - 56) ** 2 + (y - 52) ** 2 < 30**2
    classes[disc], image[disc] = face_classes.SKIN, (220, 180, 150)
    top = disc & (y < 32)
    classes[top], image[top] = face_classes.HAIR, (90, 60, 30)
    for kind, (px, py) in zip((5, 4), POINTS[:2], strict=True):  # right is left
        eye = (x - px) ** 2 + (y - py) ** 2 < 16
        classes[eye], image[eye] = kind, 20
    return parsed_photos.ParsedPhoto(image, classes, POINTS)


def write_photos(folder, count=4):
    """Writes photos, masks and the table of labels."""
    found = {}
    for i in range(count):
        photo = parsed(i)
        images.write_image(folder / f"photo{i}.png", photo.image)
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(photo.classes).save(folder / "masks" / f"photo{i}.png")
        box = np.array([[26.0, 22.0, 86.0, 82.0]])
        found[f"photo{i}.png"] = Faces(box, POINTS[None], np.ones(1))
    face_labels.write_labels(folder / "labels.csv", found)


def settings_for(folder, **more):
    write_photos(folder)
    given = dict(
        data_dir=str(folder),
        labels=str(folder / "labels.csv"),
        masks=str(folder / "masks"),
        output=str(folder / "parser.keras"),
        holdout=1,
        image_size=32,
        steps=4,
        batch_size=2,
        save_every=2,
        workers=1,
    )
    return TrainParserSettings(**(given | more))


class ParsedPhotosTest(testing.TestCase):
    def test_photos_and_masks_are_read_and_made_smaller(self):
        folder = self.tempdir()
        write_photos(folder)
        table, masks = folder / "labels.csv", folder / "masks"
        whole = parsed_photos.read_photos(folder, table, masks, 200)["photo2.png"]
        np.testing.assert_array_equal(whole.classes, parsed().classes)
        half = parsed_photos.read_photos(folder, table, masks, 56)["photo2.png"]
        self.assertEqual(half.image.shape, (48, 56, 3))
        self.assert_close(half.landmarks[0], np.array([22.25, 20.75]), atol=1e-6)
        self.assertEqual(half.classes[21, 22], face_classes.RIGHT_EYE)

    def test_who_is_held_out_depends_on_names_alone(self):
        named = {name: name for name in ("ann", "bob", "eve")}  # in this order
        self.assertEqual(parsed_photos.split(named, 1), (["bob", "eve"], ["ann"]))
        with self.assertRaisesRegex(InputError, "--holdout: must be below .* 3. Rec"):
            parsed_photos.split(named, 3)

    def test_masks_that_are_none_are_refused(self):
        folder = self.tempdir()
        write_photos(folder)
        mask = folder / "masks" / "photo1.png"

        def read():
            parsed_photos.read_photos(
                folder, folder / "labels.csv", folder / "masks", 99
            )

        for made, words in (
            (Image.new("RGB", SIZE[::-1]), "mode RGB"),
            (Image.new("L", SIZE[::-1], 19), "below 19 a pixel.*numbers up to 19"),
            (Image.new("L", (30, 20)), "same size. Received: 112x96 and 30x20"),
        ):
            made.save(mask)
            with self.assertRaisesRegex(InputError, words):
                read()
        mask.unlink()
        with self.assertRaisesRegex(InputError, "photo1.png: no such file"):
            read()


class ViewsTest(testing.TestCase):
    def test_a_mirror_changes_left_and_right(self):
        photo = parsed()
        found = views.mirrored(photo)
        self.assertEqual(photo.classes[42, 45], face_classes.RIGHT_EYE)
        self.assertEqual(found.classes[42, 111 - 45], face_classes.LEFT_EYE)
        self.assertEqual(found.classes[42, 111 - 67], face_classes.RIGHT_EYE)
        self.assert_close(found.landmarks[0], np.array([111.0 - 67, 42]))
        again = views.mirrored(found)
        np.testing.assert_array_equal(again.classes, photo.classes)
        np.testing.assert_array_equal(again.image, photo.image)
        self.assert_close(again.landmarks, photo.landmarks)

    def test_a_plain_crop_lies_where_a_swap_cuts_it(self):
        crop = views.plain_crop(parsed(), 112, alignment.Alignment())
        wanted = alignment.template(112)
        self.assertLess(np.abs(crop.landmarks - wanted).max(), 12.0)
        column, row = np.rint(crop.landmarks[0]).astype(int)
        self.assertEqual(crop.classes[row, column], face_classes.RIGHT_EYE)
        wide = views.plain_crop(parsed(), 112, alignment.Alignment(shrink=0.4))
        self.assertIn(face_classes.UNKNOWN, wide.classes)  # beyond the photo

    def test_varied_crops_repeat_by_the_seed(self):
        photos = [parsed(i) for i in range(2)]
        one, same, other = (
            views.varied_crop(photos, 0, 48, 0.5, np.random.default_rng(seed))
            for seed in (3, 3, 4)
        )
        np.testing.assert_array_equal(one.image, same.image)
        self.assertTrue((one.image != other.image).any())
        self.assertEqual((one.image.shape, one.classes.shape), ((48, 48, 3), (48, 48)))

    def test_what_is_laid_over_brings_its_class(self):
        photo, other = parsed(), parsed(1)
        brings = {"_strands": face_classes.HAIR, "_glasses": face_classes.GLASSES}
        for kind, _ in covers._KINDS:
            wanted = brings.get(kind.__name__, face_classes.BACKGROUND)
            changed = 0
            for seed in range(5):
                found = kind(photo, other, np.random.default_rng(seed))
                new = found.classes != photo.classes
                changed += int(new.sum())
                self.assertTrue((found.classes[new] == wanted).all(), kind.__name__)
                apart = np.abs(found.image.astype(int) - photo.image).max(axis=-1)
                if new.any():
                    self.assertGreater(apart[new].mean(), 5.0, kind.__name__)
            self.assertGreater(changed, 50, kind.__name__)

    def test_eyes_are_seen_through_clear_glasses_only(self):
        photo, eyes = parsed(), 0
        for seed in range(12):
            found = covers._glasses(photo, photo, np.random.default_rng(seed))
            inside = np.isin(photo.classes, face_classes.EYES)
            kept = np.isin(found.classes[inside], face_classes.EYES)
            dark = found.image[inside][kept].mean() < 15 if kept.any() else True
            self.assertFalse(kept.mean() > 0.7 and dark)
            eyes += int(kept.mean() > 0.7)
        self.assertBetween(eyes, 4, 11)


class LossTest(testing.TestCase):
    def test_against_numpy(self):
        random = np.random.default_rng(0)
        scores = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
        classes = random.integers(0, 5, (2, 6, 8)).astype(np.uint8)
        classes[0, :3] = face_classes.UNKNOWN
        weights = np.array([0.5, 1, 2, 3, 4], np.float32)
        truth = np.zeros((2, 3, 4, 5))
        for n, y, x in np.ndindex(2, 6, 8):
            if classes[n, y, x] < 5:
                truth[n, y // 2, x // 2, classes[n, y, x]] += 0.25
        found = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        entropy = -(truth * weights * np.log(found)).sum() / (truth * weights).sum()
        found = found * truth.sum(-1, keepdims=True)
        both, total = (found * truth).sum((0, 1, 2)), (found + truth).sum((0, 1, 2))
        dice = (1 - (2 * both + 1) / (total + 1)).mean()
        loss = overlap_losses.parsing_loss(classes, scores, weights)
        self.assert_close(np.asarray(loss), np.array(entropy + 0.5 * dice), rtol=1e-5)

    def test_weights_of_classes_by_hand(self):
        found = overlap_losses.class_weights(np.array([400, 100, 25, 0, 10_000]))
        self.assert_close(found, np.array([0.5, 1.0, 2.0, 4.0, 0.5]))

    def test_overlap_by_hand(self):
        photo = parsed()
        crop = dataclasses.replace(photo, classes=np.array([[0, 0, 1], [1, 13, 255]]))
        found = class_overlap.measure(
            lambda image: np.array([[0, 1, 1], [1, 13, 4]]), [crop]
        )
        self.assertAlmostEqual(found.by_class[0], 1 / 2)
        self.assertAlmostEqual(found.by_class[1], 2 / 3)
        self.assertAlmostEqual(found.by_class[13], 1.0)
        self.assertTrue(np.isnan(found.by_class[4]))  # at an unknown pixel
        self.assertAlmostEqual(found.mean, (1 / 2 + 2 / 3 + 1) / 3)
        self.assertAlmostEqual(found.pixels, 4 / 5)
        self.assertIn("hair         1.000", found.lines())


class ProgramTest(testing.TestCase):
    @pytest.mark.large
    def test_a_stopped_run_ends_as_an_undisturbed_one(self):
        folder = self.tempdir()
        whole = settings_for(folder)
        stopped = dataclasses.replace(whole, output=str(folder / "other.keras"))
        make, calls = views.varied_crop, iter(range(6))  # three of four batches

        def failing(*arguments):
            if next(calls, None) is None:
                raise RuntimeError("power cut")
            return make(*arguments)

        small = FaceParserConfig(32, **SMALL)
        with mock.patch.object(fitting, "FaceParserConfig", lambda size: small):
            self.assertEqual(train_parser.main(whole), 0)
            with mock.patch.object(views, "varied_crop", failing):
                with pytest.raises(Exception, match="power cut"):
                    fitting.train(stopped)
            self.assertFalse((folder / "other.keras").exists())
            fitting.train(stopped)
        one, other = (loading.load_network(x.output) for x in (whole, stopped))
        self.assertTrue(one.config.folded)
        for expected, found in zip(one.get_weights(), other.get_weights(), strict=True):
            self.assert_close(found, expected)
            np.testing.assert_array_equal(found.astype(np.float16), found)
        self.assertFalse(list(folder.glob("*.backup*")))

    def test_batches_repeat_by_number_and_change_by_epoch(self):
        settings = settings_for(self.tempdir())
        data = fitting.Batches([parsed()], settings)
        (image, classes), again = data[1], data[1]
        self.assertEqual((image.shape, image.dtype), ((2, 32, 32, 3), np.float32))
        self.assertEqual((classes.shape, classes.dtype), ((2, 32, 32), np.uint8))
        np.testing.assert_array_equal(image, again[0])
        data.epoch = 1
        self.assertTrue((data[1][0] != image).any())

    def test_settings_are_checked(self):
        with self.assertRaisesRegex(ValueError, "multiple of 16. Received: .*=40"):
            FaceParserConfig(40)
        with self.assertRaisesRegex(ValueError, "three of each"):
            FaceParserConfig(widths=(8, 8))

"""Tests of the made faces: exact truth, independence of the parts, the program."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import cli, retinaface
from facedancer.dataset import make_faces
from facedancer.dataset.made_faces import made_face, paint, render, shape
from facedancer.dataset.shards import records
from facedancer.errors import InputError
from facedancer.face import alignment, pose
from facedancer.imaging import images
from tests import testing


def face(identity=1, circumstances=2, **parts):
    made = made_face.make_face(made_face.make_identity(identity), circumstances)
    return dataclasses.replace(made, **parts)


PLAIN = made_face.Scene(noise=0.0, seed=3)
AHEAD = made_face.Pose(scale=0.7)


class RenderTest(testing.TestCase):
    def test_same_numbers_same_picture(self):
        one = render.render(face(), 120, 96)
        two = render.render(face(), 120, 96)
        self.assertEqual(one.image.shape, (120, 96, 3))
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.mask, two.mask)

    def test_landmarks_lie_on_what_they_name(self):
        plain = made_face.Expression()
        for number in range(4):
            made = face(number, pose=AHEAD, scene=PLAIN, expression=plain)
            drawn = render.render(made, 200, 160)
            x, y = np.rint(drawn.landmarks).astype(int).T
            kinds = drawn.mask[y, x]
            self.assertEqual(
                kinds[:3].tolist(),
                [
                    paint.RIGHT_EYE,  # the person's right, left in the image
                    paint.LEFT_EYE,
                    paint.NOSE,
                ],
            )
            lips = np.isin(drawn.mask, (paint.UPPER_LIP, 12))
            columns = np.flatnonzero(lips.any(axis=0))
            self.assertAlmostEqual(drawn.landmarks[3, 0], columns[0], delta=4)
            self.assertAlmostEqual(drawn.landmarks[4, 0], columns[-1], delta=4)

    def test_pose_is_the_one_asked_for(self):
        """The nose goes where the angles say, by an independent estimate too."""
        for yaw, pitch, roll in ((25, 0, 0), (-25, 0, 0), (0, 0, 20)):
            asked = made_face.Pose(yaw=yaw, pitch=pitch, roll=roll)
            drawn = render.render(face(pose=asked, scene=PLAIN), 96, 96)
            found = pose.solve_pose(drawn.landmarks)
            self.assertAlmostEqual(found[0], yaw, delta=12)
            if not yaw:
                self.assertAlmostEqual(found[2], roll, delta=4)
            self.assertEqual(drawn.pose, (yaw, pitch, roll))

    def test_rotation_is_one(self):
        matrix = shape.rotation(made_face.Pose(30, -20, 50))
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        self.assertAlmostEqual(np.linalg.det(matrix), 1.0)
        nose = shape.rotation(made_face.Pose(30, 20)) @ [0, 0, 1]
        self.assertGreater(nose[0], 0)  # to the right of the image
        self.assertGreater(nose[1], 0)  # and down

    def test_projection_by_hand(self):
        """A head of half the height; half a head is a quarter of 80 pixels."""
        pose = made_face.Pose(scale=0.5, x=0.5, y=0.25)
        point = shape.project(np.array([1.0, -0.5, 7.0]), pose, 80, 60)
        np.testing.assert_allclose(point, [29.5 + 20.0, 19.5 - 10.0, 140.0])

    @parameterized.parameters("glasses", "sunglasses", "bar")
    def test_occluders_hide_something(self, occluder):
        scene = dataclasses.replace(PLAIN, occluder=occluder, bar_y=0.5)
        free = render.render(face(scene=PLAIN, pose=AHEAD), 96, 96)
        hidden = render.render(face(scene=scene, pose=AHEAD), 96, 96)
        kinds = (paint.GLASSES, paint.OCCLUDER)
        self.assertFalse(np.isin(free.mask, kinds).any())
        covered = np.isin(hidden.mask, kinds)
        self.assertGreater(covered.sum(), 20)
        change = np.abs(free.image.astype(int) - hidden.image).sum(-1)
        self.assertGreater(change[covered].mean(), 10 * change[~covered].mean() + 1)

    @parameterized.parameters(
        ("mouth_open", 1.0, paint.MOUTH, 1),
        ("blink", 1.0, paint.LEFT_EYE, -1),
    )
    def test_expression(self, name, value, kind, sign):
        counts = []
        for amount in (0.0, value):
            expression = made_face.Expression(**{name: amount})
            made = face(scene=PLAIN, pose=AHEAD, expression=expression)
            drawn = render.render(made, 128, 128)
            counts.append((drawn.mask == kind).sum())
        self.assertGreater(sign * (counts[1] - counts[0]), 15)


class TrueSwapTest(testing.TestCase):
    def test_all_but_the_identity_is_the_targets(self):
        source, target = face(1, 2), face(5, 6)
        swapped = made_face.true_swap(source, target)
        self.assertEqual(swapped.identity, source.identity)
        for part in ("hair", "pose", "expression", "light", "scene"):
            self.assertEqual(getattr(swapped, part), getattr(target, part))

    def test_the_scene_stays_pixel_for_pixel(self):
        source, target = face(1, 2), face(5, 6)
        swapped = render.render(made_face.true_swap(source, target), 96, 96)
        wanted = render.render(target, 96, 96)
        both = (swapped.mask == paint.BACKGROUND) & (wanted.mask == paint.BACKGROUND)
        change = np.abs(swapped.image.astype(int) - wanted.image).max(-1)
        self.assertGreater(both.mean(), 0.2)
        # a half-covered pixel at the outline may differ
        self.assertGreater((change[both] == 0).mean(), 0.97)
        skin = wanted.mask == paint.SKIN
        self.assertGreater(change[skin].mean(), 5)

    def test_swap_with_oneself_changes_nothing(self):
        made = face()
        self.assertEqual(made_face.true_swap(made, made), made)

    def test_people_differ_more_than_pictures_of_one(self):
        light, expression = made_face.Light(), made_face.Expression()

        def crops(identity, yaw):
            made = face(
                identity,
                1,
                pose=made_face.Pose(yaw=yaw),
                scene=PLAIN,
                light=light,
                expression=expression,
            )
            drawn = render.render(made, 128, 128)
            matrix = alignment.crop_matrix(drawn.landmarks, 48)
            return alignment.crop(drawn.image, matrix, 48).astype(float)[8:40, 8:40]

        straight = [crops(number, 0) for number in range(4)]
        turned = [crops(number, 6) for number in range(4)]
        distance = np.array([[np.abs(a - b).mean() for b in turned] for a in straight])
        np.testing.assert_array_equal(distance.argmin(axis=1), np.arange(4))


class ProgramTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.target = self.tempdir() / "made"

    def settings(self, **options):
        options = {"num_identities": 3, "num_images": 2, "image_size": 48} | options
        return make_faces.MadeSettings(str(self.target), **options)

    def content(self):
        return {
            str(p.relative_to(self.target)): p.read_bytes()
            for p in self.target.rglob("*")
            if p.is_file()
        }

    def test_pictures_and_truth(self):
        make_faces.write_faces(self.settings(image_format="png", masks=True))
        lines = (self.target / "truth.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        self.assertLen(entries, 6)
        self.assertEqual(entries[3]["path"], "00001/0001.png")
        made = make_faces.nth_face(self.settings(), 1, 1)
        drawn = make_faces.draw(made, 48, aligned=False)
        image = images.read_image(self.target / "00001/0001.png")
        np.testing.assert_array_equal(image, drawn.image)
        np.testing.assert_allclose(entries[3]["landmarks"], drawn.landmarks, atol=1e-3)
        mask = images.read_image(f"{self.target}.masks/00001/0001.png")[..., 0]
        np.testing.assert_array_equal(mask, drawn.mask)

    def test_aligned_crops_have_the_template_landmarks(self):
        make_faces.write_faces(self.settings(aligned=True, num_identities=2))
        entry = json.loads((self.target / "truth.jsonl").read_text().splitlines()[0])
        distance = np.array(entry["landmarks"]) - alignment.template(48)
        self.assertLess(np.abs(distance).max(), 12)
        self.assertLess(np.abs(distance.mean(0)).max(), 1e-2)  # least squares

    @pytest.mark.slow
    def test_resume_and_workers(self):
        make_faces.write_faces(self.settings())
        whole = self.content()
        truth = self.target / "truth.jsonl"
        lines = truth.read_bytes().splitlines(keepends=True)
        truth.write_bytes(b"".join(lines[:2]) + lines[2][:9])
        (self.target / "00002/0000.jpg").unlink()
        for name in ("00002/.tmp-9999999-1234567-0000.jpg", ".tmp-9999999-truth.jsonl"):
            (self.target / name).write_bytes(b"half")  # of a run that was killed
        make_faces.write_faces(self.settings(num_workers=2))
        self.assertEqual(self.content(), whole)

    def test_other_flags_are_refused(self):
        make_faces.write_faces(self.settings(num_images=1, num_identities=1))
        with self.assertRaisesRegex(InputError, "made with other flags"):
            make_faces.write_faces(self.settings(seed=1))

    def test_folders_of_others_are_refused(self):
        for folder in (self.target, pathlib.Path(f"{self.target}.masks")):
            (folder / "00000").mkdir(parents=True)
            with self.assertRaisesRegex(InputError, "holds 00000, which this program"):
                make_faces.write_faces(self.settings(masks=True))
            (folder / "00000").rmdir()

    def test_triplets(self):
        settings = self.settings(num_images=0, num_triplets=2, image_format="png")
        make_faces.write_faces(settings)
        path = self.target / "made_triplets_00000-of-00001.records"
        found = [records.decode_example(r) for r in records.read_records(path)]
        self.assertLen(found, 2)
        self.assertEqual(sorted(found[0]), ["source", "target", "truth"])
        triplet = make_faces.make_triplet(settings, 1)
        for name, image in triplet.items():
            self.assertEqual(images.encode_image(image, ".png"), found[1][name])

    def test_main_and_bad_values(self):
        def run(*words):
            words = [f"--target_dir={self.target}", *words]
            return make_faces.main(cli.parse(make_faces.MadeSettings, words))

        self.assertEqual(
            run("--num_identities=1", "--num_images=1", "--image_size=32"), cli.DONE
        )
        for word in ("--num_identities=0", "--image_format=gif", "--image_size=8"):
            with self.assertRaisesRegex(InputError, word[2:].split("=")[0]):
                run(word)


@pytest.mark.large
def test_the_detector_finds_made_faces():
    detector = retinaface.load_detector()
    found, errors = 0, []
    for number in range(60):
        drawn = render.render(face(number, 1000 + number), 256, 256)
        faces = detector.detect(drawn.image)
        if len(faces):
            best = faces.landmarks[faces.areas.argmax()]
            eyes = np.linalg.norm(drawn.landmarks[1] - drawn.landmarks[0])
            distance = np.linalg.norm(best - drawn.landmarks, axis=1).mean() / eyes
            found += distance < 0.25
            errors.append(distance)
    assert found >= 57, found
    assert np.median(errors) < 0.10, np.median(errors)

"""Tests of what covers a face and stays: the mask of a parser, and its default."""

import dataclasses
from unittest import mock

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.face import alignment, face_classes
from facedancer.imaging import sample_photos
from facedancer.inference import runtimes
from facedancer.models.families.face_parser.loading import load_parser
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.retinaface.loading import load_detector
from facedancer.storage import weights
from facedancer.video_swap.clips import clip_stages
from facedancer.video_swap.compositing import parsing
from facedancer.video_swap.media import video_reader
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.settings import NetworkSettings
from facedancer.video_swap.swapping import identities, networks, swapper
from tests import testing
from tests.video_swap import made


class ParsingTest(testing.TestCase):
    def write(self, classes=19):
        """A model that takes dark pixels for background and bright ones for skin."""
        image = keras.Input((16, 16, 3))
        bright = keras.ops.mean(image, axis=-1, keepdims=True)
        rest = [keras.ops.full_like(bright, -9.0)] * (classes - 2)
        scores = keras.ops.concatenate([-bright, bright, *rest], axis=-1)
        path = self.tempdir() / "parser.keras"
        keras.Model(image, scores).save(path)
        return path

    def test_what_covers_the_face_stays(self):
        frame = np.full((100, 120, 3), 200, np.uint8)
        frame[:, 60:] = 20  # a dark hand over one half
        job = swapper.FaceJob(alignment.template(60) + [30, 20], 0)
        tool = made.make_swapper()
        tool.parser = load_parser(self.write())
        image = tool.swap_frames([frame], [[job]])[0]
        self.assert_close(image[55, 48], np.array(made.BLUE), atol=8)
        self.assertLess(np.abs(image[55, 72].astype(int) - 20).max(), 8)

    def test_other_models_are_refused(self):
        with self.assertRaisesRegex(InputError, "19 scores a pixel. Received"):
            load_parser(self.write(classes=5))
        for path, words in (
            ("missing.keras", "missing.keras: no such file"),
            (str(weights.find_portable("detector")), "network of a parser, found det"),
        ):
            given = NetworkSettings(parsing_path=path)
            with self.assertRaisesRegex(InputError, f"--parsing_path: .*{words}"):
                networks.load_helpers(given, "openvino")

    def test_the_packaged_parser_is_the_default(self):
        found, _ = networks.load_helpers(NetworkSettings(), "openvino")
        self.assertEqual(found.name, "face_parser_96.onnx")
        given = NetworkSettings(parsing_path="none")
        self.assertIsNone(networks.load_helpers(given, "openvino")[0])

    def test_sure_covers_stay_and_doubtful_ones_do_not(self):
        """A tenth of doubt hides nothing; the edge between is soft."""

        class Known:
            def __init__(self, **chances):
                self.chances = chances

            def probabilities(self, crops):
                found = np.zeros((1, 20, 20, 19), np.float32)
                for name, chance in self.chances.items():
                    found[..., face_classes.NAMES.index(name)] = chance
                return found

        crop = np.zeros((40, 40, 3), np.uint8)
        for chances, shown in (
            ({"skin": 0.7, "hair": 0.3}, 1.0),
            ({"skin": 0.2, "hair": 0.5, "background": 0.3}, 0.0),
            ({"skin": 0.45, "hat": 0.55}, 0.5),
            ({"nose": 0.1, "glasses": 0.9}, 0.0),
            ({"left ear": 1.0}, 1.0),
        ):
            found = parsing.visible(Known(**chances), crop)
            self.assert_close(found, np.full((40, 40), shown), atol=1e-5)

    def test_a_photo_of_which_all_is_face(self):
        """The packaged one finds no cover in the middle of a bare face."""
        photo = sample_photos.read("collins")
        parser, _ = networks.load_helpers(NetworkSettings(), "openvino")
        points = load_detector().detect(photo).landmarks[0]
        matrix = alignment.crop_matrix(points, 96)
        shown = parsing.visible(parser, alignment.crop(photo, matrix, 96))
        middle = np.hypot(*(np.mgrid[:96, :96] - [[[55]], [[48]]])) < 22
        self.assertGreater(shown[middle].min(), 0.9)
        self.assertLess(shown[:4].mean(), 0.5)  # hair

    def test_networks_are_read_when_they_are_used(self):
        made_ready, run_by = [], runtimes.run_by

        def counting(runtime, file, *rest):
            made_ready.append(file.kind)
            return run_by(runtime, file, *rest)

        with mock.patch.object(runtimes, "run_by", counting):
            parser, refiner = networks.load_helpers(NetworkSettings(), "openvino")
            self.assertEqual(made_ready, [])
            crop = np.zeros((96, 96, 3), np.uint8)
            for _ in range(2):
                parser.probabilities([crop])
            self.assertEqual(made_ready, ["parser"])
            self.assertEqual(refiner.size, 256)
            self.assertEqual(made_ready, ["parser", "refiner"])
            loaded = mock.Mock(spec=networks.Networks)
            loaded.parser, loaded.refiner = networks.load_helpers(
                NetworkSettings(), "openvino"
            )
            networks.Networks.begin(loaded, refines=False)
            loaded.parser.probabilities([crop])  # waits for what has begun
            self.assertEqual(made_ready[2:], ["parser"])

    def test_faces_that_the_parser_does_not_see_stay(self):
        """In a photo; where it sees none of them, it says so."""
        inputs = ("masked_target", "semantic_mask", "identity")
        contract = SwapContract(InputContract(64, "signed"), IdentityInput(size=3))
        contract = dataclasses.replace(contract, inputs=inputs)
        blue = identities.Rule("blue", None, made.identity_of(made.BLUE))
        both = ((made.RED, 10, 20, 40), (made.GREEN, 100, 30, 32))

        class SeesRed(made.AllSkin):
            def classes(self, crops):
                red = [crop[20:40, 20:40, 0].mean() > 150 for crop in crops]
                return np.repeat(np.uint8(red), 256).reshape(-1, 16, 16)

        tool = swapper.FaceSwapper(
            lambda feeds: {"swapped": feeds["masked_target"]},
            contract,
            made.SquareDetector(),
            made.ColourEmbedder(),
            [blue],
            parser=SeesRed(),
        )
        found = tool.swap_frame(made.scene(*both))
        self.assertEqual(sorted(found.rules, key=str), [0, None])
        with self.assertRaisesRegex(InputError, "1 faces were found, .* recognises no"):
            tool.swap_frame(made.scene(both[1]))


class Counting:
    """Sees skin, and of every second crop hair with some probability."""

    def __init__(self, hair=0.0):
        self.calls, self.hair = 0, hair

    def probabilities(self, crops):
        found = np.zeros((1, 20, 20, 19), np.float32)
        hair = self.hair * (self.calls % 2)
        found[..., face_classes.HAIR], found[..., face_classes.SKIN] = hair, 1 - hair
        self.calls += 1
        return found


def crop_of(shade, spot=0, side=24):
    """A crop with a spot in another shade; 6 pixels a side are a cell."""
    crop = np.full((96, 96, 3), shade, np.uint8)
    crop[24 : 24 + side, 60 : 60 + side] += spot
    return crop


class CoversTest(testing.TestCase):
    def seen(self, crops, every=4, hair=0.0, tracks=None):
        """Masks of crops, and after how many each the parser had been asked."""
        parser, found = Counting(hair), []
        covers = parsing.Covers(parser, every)
        for crop, track in zip(crops, tracks or [1] * len(crops), strict=True):
            found.append((float(covers.visible(crop, track).mean()), parser.calls))
        return [mask for mask, _ in found], [calls for _, calls in found]

    def test_every_fourth_crop_of_what_stays_is_parsed(self):
        calls = self.seen([crop_of(90)] * 9)[1]
        self.assertEqual(calls, [1, 1, 1, 1, 2, 2, 2, 2, 3])
        self.assertEqual(self.seen([crop_of(90)] * 3, every=1)[1], [1, 2, 3])
        self.assertEqual(
            self.seen([crop_of(90)] * 3, tracks=[1, None, None])[1], [1, 2, 3]
        )

    def test_what_comes_before_a_face_is_parsed_at_once(self):
        crops = [crop_of(90), crop_of(90, 40), crop_of(90, 40), crop_of(90)]
        masks, calls = self.seen(crops, hair=0.9)
        self.assertEqual(calls, [1, 2, 2, 3])
        self.assert_close(masks, [1.0, 0.0, 0.0, 1.0], atol=1e-6)

    def test_other_light_and_specks_are_no_other_look(self):
        self.assertEqual(self.seen([crop_of(90), crop_of(99)])[1], [1, 1])
        self.assertEqual(self.seen([crop_of(90), crop_of(90, 15)])[1], [1, 1])
        self.assertEqual(self.seen([crop_of(90), crop_of(90, 60, 12)])[1], [1, 1])
        self.assertEqual(self.seen([crop_of(90), crop_of(90, 60, 18)])[1], [1, 2])

    def test_faces_have_masks_of_their_own(self):
        calls = self.seen([crop_of(90)] * 4, tracks=[1, 2, 1, 2])[1]
        self.assertEqual(calls, [1, 2, 2, 2])

    def test_a_new_mask_comes_in_without_a_step(self):
        masks, _ = self.seen([crop_of(90)] * 9, hair=0.9)
        self.assert_close(masks[3:5], [1.0, 0.5], atol=1e-6)
        self.assert_close(masks[7:9], [0.5, 0.75], atol=1e-6)

    def test_a_segment_knows_nothing_of_the_one_before(self):
        """So that a run that goes on computes what one that was not stopped does."""
        tool = made.make_swapper()
        tool.parser = Counting()
        image = made.scene((made.RED, 20, 20, 40))
        for every, parsed in ((4, 4), (1, 10)):
            frames = (video_reader.Frame(i, Rgb(image), 10 * i) for i in range(10))
            settings = clip_stages.StageSettings(parse_every=every)
            tool.parser.calls = 0
            steps = clip_stages.steps(frames, tool, settings, lambda a, i: a, chunk=5)
            self.assertLen(list(steps), 10)
            self.assertEqual(tool.parser.calls, parsed)

"""Tests of watermark, credentials, provenance, labels and verify."""

import errno
import io
import json
import os
import pathlib
import resource
import stat
import subprocess
import sys
from unittest import mock

import av
import cv2
import numpy as np
import skimage.data
from absl.testing import parameterized
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from facedancer import cli, images, testing
from facedancer.errors import InputError
from facedancer.video_swap import verify
from facedancer.video_swap.media import pictures
from facedancer.video_swap.provenance import credentials, labels, signing, watermark
from tests.video_swap import made

PAYLOAD = 0xC0FFEE42


def jpeg(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [1, quality])[1], cv2.IMREAD_COLOR)


def h264(image, crf):
    """The third of five equal frames after H.264."""
    image = np.ascontiguousarray(image[: len(image) // 2 * 2])
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": str(crf)}
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data.seek(0)
    with av.open(data) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)][2]


def brighter_png(path):
    """Returns a photo as a PNG without a signature, a little brighter."""
    return images.encode_image(cv2.add(images.read_image(path), 9), ".png")


class WatermarkTest(testing.TestCase):
    def photos(self):
        return skimage.data.astronaut(), skimage.data.chelsea()[:, :450]

    @parameterized.named_parameters(
        ("untouched", lambda image: image),
        ("jpeg_75", lambda image: jpeg(image, 75)),
        ("h264_crf_28", lambda image: h264(image, 28)),
        ("half_size", lambda image: cv2.resize(image, None, fx=0.5, fy=0.5)),
    )
    def test_mark_survives(self, attack):
        for photo in self.photos():
            marked = watermark.embed(photo, PAYLOAD)
            self.assertGreater(cv2.PSNR(photo, marked), 36.0)
            found = watermark.detect(attack(marked))
            self.assertTrue(found.found, found)
            self.assertEqual(found.payload, PAYLOAD)

    @parameterized.named_parameters(
        ("mirrored", lambda image: image[:, ::-1]),
        ("cropped", lambda image: image[26:-26, 26:-26]),
        ("border", lambda image: np.pad(image, ((6, 6), (6, 6), (0, 0)))),
    )
    def test_what_undoes_it(self, attack):
        """The docstring says so; what is mended here is to be said there."""
        marked = watermark.embed(self.photos()[0], PAYLOAD)
        self.assertFalse(watermark.detect(np.ascontiguousarray(attack(marked))).found)

    def test_anyone_can_put_in_another_payload(self):
        marked = watermark.embed(self.photos()[0], PAYLOAD)
        found = watermark.detect(watermark.embed(marked, 0x12345678))
        self.assertTrue(found.found)
        self.assertNotEqual(found.payload, PAYLOAD)

    def test_no_mark_is_seen_where_there_is_none(self):
        scores = [watermark.detect(photo).score for photo in self.photos()]
        random = np.random.default_rng(0)
        for _ in range(30):
            noise = random.integers(0, 255, (12, 20, 3)).astype(np.uint8)
            scores.append(watermark.detect(cv2.resize(noise, (320, 192))).score)
        self.assertLess(max(scores), 4.0)
        self.assertBetween(np.std(scores), 0.3, 1.5)

    def test_other_key_sees_nothing(self):
        marked = watermark.embed(self.photos()[0], PAYLOAD, key="one")
        self.assertTrue(watermark.detect(marked, key="one").found)
        self.assertFalse(watermark.detect(marked, key="two").found)

    def test_mark_of_one_frame_fits_the_next(self):
        photo = self.photos()[0]
        marker = watermark.Marker(PAYLOAD)
        marker(photo, 0)
        moved = np.roll(photo, 3, axis=1)
        found = watermark.detect(marker(moved, 1))
        self.assertTrue(found.found)
        self.assertEqual(found.payload, PAYLOAD)

    def test_plain_areas_are_hardly_changed(self):
        photo = self.photos()[0].copy()
        photo[:, :200], photo[:, 200:260] = 20, 190  # a suit, a wall, an edge between
        change = np.abs(watermark.embed(photo, PAYLOAD).astype(int) - photo)
        self.assertLessEqual(change[:, :240].max(), 3)
        self.assertLess(change[:, :240].mean(), 0.5)
        self.assertGreater(change[:, 300:].mean(), 2 * change[:, :240].mean())

    def test_stripes_are_no_texture(self):
        photo = self.photos()[0].copy()
        photo[:, :240] = 128 + 60 * np.sign(np.sin(np.arange(240) / 2))[:, None]
        change = np.abs(watermark.embed(photo, PAYLOAD).astype(int) - photo)
        self.assertLess(change[:, :210].mean(), 1.0)
        self.assertLess(change[:, :210].max(), 6)

    def test_frames_tell_more_than_one(self):
        random, marker = np.random.default_rng(0), watermark.Marker(PAYLOAD)
        photo, values = self.photos()[0], []
        for index in range(6):
            moved = marker(np.roll(photo, 5 * index, axis=1), index).astype(float)
            noisy = moved + random.normal(0, 25, photo.shape)
            values.append(watermark.values_of(noisy.clip(0, 255).astype(np.uint8)))
        one = watermark.read_values(values[0]).score
        self.assertGreater(watermark.read_values(np.mean(values, axis=0)).score, one)


class Installation(testing.TestCase):
    """A test with a configuration folder of its own."""

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        home = mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(self.folder / "c")})
        home.start()
        self.addCleanup(home.stop)

    def labeller(self, **settings):
        return labels.Labeller(labels.LabelSettings(**settings))


class CredentialsTest(Installation):
    def test_made_once_with_safe_permissions(self):
        self.assertFalse(credentials.exist())
        one = credentials.load_credentials()
        self.assertEqual(credentials.load_credentials(), one)
        self.assertIn(b"PRIVATE KEY", one.key)
        self.assertEqual(one.chain.count(b"BEGIN CERTIFICATE"), 2)
        self.assertNotIn(b"PRIVATE", one.chain)
        folder = credentials.folder()
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)
        for file in folder.iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertNotIn("PRIVATE", repr(one))

    def test_no_two_installations_are_alike(self):
        self.assertNotEqual(
            credentials.make_credentials().key, credentials.make_credentials().key
        )

    def test_given_files(self):
        made_now = credentials.make_credentials()
        key, chain = self.folder / "k.pem", self.folder / "c.pem"
        key.write_bytes(made_now.key)
        key.chmod(0o600)
        chain.write_bytes(made_now.chain)
        self.assertEqual(credentials.load_credentials(str(key), str(chain)), made_now)
        self.assertFalse(credentials.exist())
        with self.assertRaisesRegex(InputError, "belong together"):
            credentials.load_credentials(str(key), "")
        with self.assertRaisesRegex(InputError, "missing.pem: cannot be used"):
            credentials.load_credentials(str(key), str(self.folder / "missing.pem"))

    def test_first_start_of_several_processes(self):
        words = "from facedancer.video_swap.provenance import credentials as c;"
        words += "import sys; sys.stdin.read(1);"
        words += "sys.stdout.buffer.write(c.load_credentials().key)"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started = [
            subprocess.Popen([sys.executable, "-c", words], **pipes) for _ in range(5)
        ]
        for process in started:  # they are ready when they have imported
            process.stdin.write(b"x")
        keys = {process.communicate()[0] for process in started}
        self.assertEqual(keys, {credentials.load_credentials().key})
        self.assertLen(list(credentials.folder().iterdir()), 1)

    def test_the_first_of_two_stays(self):
        made_now = []

        def in_between():
            if not made_now:
                made_now.append(None)
                made_now[0] = credentials.load_credentials()
            return make()

        make = credentials.make_credentials
        with mock.patch.object(credentials, "make_credentials", in_between):
            self.assertEqual(credentials.load_credentials(), made_now[0])
        self.assertLen(list(credentials.folder().iterdir()), 1)

    def test_without_links(self):
        error = OSError(errno.EPERM, "Operation not permitted")
        with mock.patch.object(os, "link", side_effect=error):
            one = credentials.load_credentials()
        self.assertEqual(credentials.load_credentials(), one)
        self.assertLen(list(credentials.folder().iterdir()), 1)

    def test_key_that_others_can_read(self):
        one = credentials.load_credentials()
        (path,) = credentials.folder().iterdir()
        path.chmod(0o644)
        with self.assertLogs("absl", level="WARNING") as logs:
            self.assertEqual(credentials.load_credentials(), one)
        self.assertRegex(logs.output[0], "signing.pem: others could read the signing")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        key, chain = self.folder / "k.pem", self.folder / "c.pem"
        key.write_bytes(one.key)
        chain.write_bytes(one.chain)
        key.chmod(0o640)
        with self.assertRaisesRegex(InputError, "others can read.*chmod 600 .*k.pem"):
            credentials.load_credentials(str(key), str(chain))

    def test_what_is_no_key(self):
        one, other = credentials.load_credentials(), credentials.make_credentials()
        (path,) = credentials.folder().iterdir()
        wrong = ec.generate_private_key(ec.SECP384R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        for content in (
            b"",
            b"no key",
            one.key,
            one.key[:-40] + one.chain,
            wrong + one.chain,
            other.key + one.chain,
        ):
            path.write_bytes(content)
            with self.assertRaisesRegex(InputError, "signing.pem: not a key that can"):
                credentials.load_credentials()


class ProvenanceTest(Installation):
    def write(self, name):
        """Writes a target of the kind of a name, and a copy as the result."""
        target = self.folder / f"target{pathlib.Path(name).suffix}"
        frames = made.moving_scenes(3)
        if target.suffix in pictures.ANIMATIONS:
            pictures.write_animation(target, [(frame, 40) for frame in frames])
        elif target.suffix in images.EXTENSIONS:
            images.write_image(target, frames[0])
        else:
            made.write_clip(target, frames)
        output = self.folder / name
        output.write_bytes(target.read_bytes())
        return target, output

    @parameterized.parameters("a.mp4", "a.mov", "a.png", "a.jpg", "a.webp", "a.gif")
    def test_signed_read_and_tampered(self, name):
        target, output = self.write(name)
        self.assertFalse(signing.read(output).signed)
        before = output.stat().st_size
        self.assertIn("signed", self.sign(target, output))
        self.assertLess(output.stat().st_size - before, 12_000, "has a thumbnail")
        claim = signing.read(output, credentials.load_credentials())
        self.assertTrue(claim.signed and claim.intact and claim.trusted)
        self.assertEqual(claim.says["title"], name)
        digest = signing.sha256_of(target)
        self.assertEqual(claim.says["parent"], f"sha256:{digest}")
        edited = claim.says["actions"][-1]
        self.assertEqual(edited["action"], "c2pa.edited")
        self.assertEqual(edited["digitalSourceType"], signing.SOURCE_TYPE)
        self.assertEqual(edited["generator"], "gen.keras")
        stranger = signing.read(output)
        self.assertTrue(stranger.intact)
        self.assertFalse(stranger.trusted)
        data = bytearray(output.read_bytes())
        data[-40] ^= 1
        output.write_bytes(data)
        self.assertFalse(signing.read(output).intact)

    def sign(self, target, output):
        labeller = self.labeller()
        labeller.generator = "gen.keras"
        return labeller.sign(output, target, output)

    def test_parent_of_many_is_read_once_and_its_manifest_comes_along(self):
        plain, target = self.write("a.png")
        self.sign(plain, target)
        parent, labeller = signing.Parent(target), self.labeller()
        count = mock.patch.object(signing, "sha256_of", wraps=signing.sha256_of)
        with count as counted:
            for name in ("1.png", "2.png"):
                one = self.folder / name
                one.write_bytes(plain.read_bytes())
                labeller.sign(one, parent, one)
                self.assertTrue(signing.read(one).intact)
                self.assertIn(b"gen.keras", one.read_bytes())
        self.assertEqual(counted.call_count, 1)

    @parameterized.parameters("a.webp", "a.gif", "a.mp4", "a.png")
    def test_damaged_parent_is_named_by_its_hash(self, name):
        target, output = self.write(name)
        data = target.read_bytes()
        target.write_bytes(data[: len(data) * 2 // 3])
        self.sign(target, output)
        claim = signing.read(output)
        self.assertTrue(claim.intact)
        digest = signing.sha256_of(target)
        self.assertEqual(claim.says["parent"], f"sha256:{digest}")

    def test_sidecar_where_there_is_no_place(self):
        target, output = self.write("a.mkv")
        self.assertIn("a.mkv.provenance.json", self.sign(target, output))
        own = credentials.load_credentials()
        claim = signing.read(output, own)
        self.assertTrue(claim.signed and claim.intact and claim.trusted)
        self.assertEqual(claim.says["parent_sha256"], signing.sha256_of(target))
        sidecar = signing.sidecar_of(output)
        stored = json.loads(sidecar.read_text())
        stored["says"]["parent"] = "another"
        sidecar.write_text(json.dumps(stored))
        self.assertEqual(signing.read(output).problems, ("the sidecar was altered",))
        good = stored["says"]
        for says in (None, "text", [], {}, good | {"actions": "a"}):
            sidecar.write_text(json.dumps(stored | {"says": says}))
            problems = signing.read(output).problems
            self.assertEqual(problems, ("the sidecar is damaged",), says)
        for text in ("{}", "[]", "no JSON"):
            sidecar.write_text(text)
            problems = signing.read(output).problems
            self.assertEqual(problems, ("the sidecar is damaged",), text)

    def test_altered_file_beside_its_sidecar(self):
        target, output = self.write("a.mkv")
        self.sign(target, output)
        output.write_bytes(output.read_bytes() + b"x")
        self.assertEqual(signing.read(output).problems, ("the file was altered",))

    def test_key_that_cannot_sign(self):
        target, output = self.write("a.png")
        labeller = self.labeller()
        labeller.credentials = credentials.Credentials(b"no key", b"no chain")
        with self.assertRaisesRegex(InputError, "a.png: cannot be signed"):
            labeller.sign(output, target, output)

    def test_full_disk_is_not_blamed_on_the_key(self):
        target, output = self.write("a.png")
        final = self.folder / ".tmp-1-seq" / "b.png"
        self.addCleanup(
            resource.setrlimit,
            resource.RLIMIT_FSIZE,
            resource.getrlimit(resource.RLIMIT_FSIZE),
        )
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        labeller = self.labeller()
        resource.setrlimit(resource.RLIMIT_FSIZE, (output.stat().st_size, hard))
        with self.assertRaisesRegex(InputError, "File too large") as caught:
            labeller.sign(output, target, final)
        text = str(caught.exception)
        self.assertStartsWith(text, f"{self.folder}/seq/b.png: cannot be written")
        self.assertNotIn("key", text)


class LabellerTest(Installation):
    def test_off_leaves_everything_and_says_so(self):
        with self.assertLogs("absl", "WARNING") as log:
            labeller = self.labeller(provenance="off")
        self.assertIn("no signature and no watermark", log.output[0])
        image = made.scene()
        np.testing.assert_array_equal(labeller.mark(image, 0), image)
        self.assertEqual(labeller.sign(None, None, None), "off")
        self.assertFalse(credentials.exist())

    def test_visible_label(self):
        photo = skimage.data.astronaut()
        plain = self.labeller().mark(photo.copy(), 0).astype(int)
        shown = self.labeller(visible_label=True).mark(photo.copy(), 0)
        change = np.abs(shown - plain)
        self.assertGreater(change[450:, :250].max(), 100)
        self.assertLess(change[:400].max(), 20)

    def test_wrong_word(self):
        with self.assertRaisesRegex(ValueError, "`provenance` must be one of on, off"):
            labels.LabelSettings(provenance="maybe")


class VerifyTest(Installation):
    def signed_photo(self):
        target = images.write_image(self.folder / "t.png", skimage.data.astronaut())
        labeller, output = self.labeller(), self.folder / "s.png"
        images.write_image(output, labeller.mark(images.read_image(target), 0))
        labeller.sign(output, target, output)
        return target, output, labeller

    def run_on(self, path):
        with mock.patch("builtins.print") as printed:
            status = verify.main(cli.parse(verify.VerifySettings, [str(path)]))
        return status, printed.call_args[0][0]

    def test_signed_altered_stripped_and_plain(self):
        target, output, labeller = self.signed_photo()
        status, text = self.run_on(output)
        self.assertEqual(status, 0)
        self.assertRegex(text, "signed by FaceDancer installation .* intact")
        self.assertIn(f"payload {labeller.payload:08x}", text)
        self.assertIn("compositeWithTrainedAlgorithmicMedia", text)

        data = bytearray(output.read_bytes())
        data[-60] ^= 4
        altered = self.folder / "altered.png"
        altered.write_bytes(data)
        claim = signing.read(altered)
        self.assertTrue(claim.signed)
        self.assertFalse(claim.intact)

        stripped = self.folder / "stripped.jpg"
        images.write_image(stripped, images.read_image(output), quality=75)
        status, text = self.run_on(stripped)
        self.assertEqual(status, 2)
        self.assertIn("no signature", text)
        self.assertIn("watermark: found", text)

        status, text = self.run_on(target)
        self.assertEqual(status, 1)
        self.assertIn("watermark: not found", text)

    def test_signed_by_somebody_else(self):
        _, output, labeller = self.signed_photo()
        chain = self.folder / "chain.pem"
        chain.write_bytes(labeller.credentials.chain)
        with mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(self.folder / "d")}):
            for known in (False, True):  # with no key of its own, and with another
                self.assertEqual(credentials.exist(), known)
                status, text = self.run_on(output)
                self.assertEqual(status, 3)
                self.assertRegex(text, "nobody known here: anyone can make such a key")
                self.assertRegex(text, "verdict: .*signed by somebody unknown here")
                self.assertNotIn("this installation", text)
                credentials.load_credentials()
            found = verify.examine(str(output), str(chain))
            self.assertEqual(verify.status_of(found), 0)
            with self.assertRaisesRegex(InputError, "none.pem: No such file"):
                verify.examine(str(output), str(self.folder / "none.pem"))

    def test_own_key_is_damaged(self):
        _, output, _ = self.signed_photo()
        (path,) = credentials.folder().iterdir()
        path.write_bytes(b"")
        with self.assertLogs("absl", level="WARNING") as logs:
            self.assertEqual(self.run_on(output)[0], 3)
        self.assertRegex(logs.output[0], "Nothing counts as signed here: .*signing.pem")

    def test_sidecar_beside_an_altered_file(self):
        """Anyone can lay a sidecar of an own key beside what was altered."""
        target, output, _ = self.signed_photo()
        data = bytearray(output.read_bytes())
        data[-60] ^= 4
        output.write_bytes(data)
        forger = credentials.make_credentials()
        for signer in (forger, credentials.load_credentials()):
            says = signing._sidecar(
                output, signing.Parent(target), output, "forged", signer
            )
            signing.sidecar_of(output).write_text(json.dumps(says))
            status, text = self.run_on(output)
            self.assertEqual(status, 2)
            self.assertIn("ALTERED after it was signed", text)
            self.assertRegex(text, "verdict: altered after it was signed")

    def says(self, kind, action="c2pa.edited"):
        """Returns a photo that is signed here and says something of its making."""
        manifest = signing._manifest

        def other(*arguments):
            found = manifest(*arguments)
            entry = found["assertions"][0]["data"]["actions"][0]
            entry |= {"action": action, "digitalSourceType": kind}
            return found

        with mock.patch.object(signing, "_manifest", other):
            return self.signed_photo()[1]

    def test_what_it_says_is_part_of_the_verdict(self):
        kinds = "http://cv.iptc.org/newscodes/digitalsourcetype/"
        for kind, status in (
            ("digitalCapture", 4),
            ("trainedAlgorithmicMedia", 0),
            ("compositeCapture", 4),
        ):
            found, text = self.run_on(self.says(kinds + kind))
            self.assertEqual(found, status)
            self.assertRegex(text, f"says: c2pa.edited {kind}")
            self.assertEqual("does not say that a trained model" in text, status == 4)

    def test_a_swap_that_was_opened_and_edited(self):
        """What an editor signs holds what the swap said before."""
        _, swap, labeller = self.signed_photo()
        output = self.folder / "edited.png"
        output.write_bytes(brighter_png(swap))
        capture = "http://cv.iptc.org/newscodes/digitalsourcetype/humanEdits"
        manifest = signing._manifest

        def edits(*arguments):
            found = manifest(*arguments)
            entry = found["assertions"][0]["data"]["actions"][0]
            entry["digitalSourceType"] = capture
            return found

        with mock.patch.object(signing, "_manifest", edits):
            labeller.sign(output, swap, output)
        status, text = self.run_on(output)
        self.assertEqual(status, 0)
        self.assertRegex(text, "says: c2pa.edited humanEdits")
        self.assertRegex(text, "said before it was opened: .*TrainedAlgorithmicMedia")

    def test_altered_until_it_cannot_be_decoded(self):
        target = made.write_clip(self.folder / "t.mp4", made.moving_scenes(3))
        output = self.folder / "s.mp4"
        output.write_bytes(target.read_bytes())
        self.labeller().sign(output, target, output)
        data = output.read_bytes()
        cut = data.index(b"mdat") + 9
        for end in (cut, 3000):  # between the pictures, in the midst of the signature
            output.write_bytes(data[:end])
            status, text = self.run_on(output)
            self.assertEqual(status, 2)
            self.assertIn("ALTERED after it was signed", text)
            self.assertRegex(text, "watermark: cannot be read .*not a video|decoded")
            self.assertIsNone(verify.examine(str(output))["watermark"])

    @parameterized.parameters(b"", b"nothing" * 500)
    def test_damage_is_no_signature(self, content):
        path = self.folder / "x.mp4"
        path.write_bytes(content)
        self.assertFalse(signing.read(path).signed)
        with self.assertRaisesRegex(InputError, "x.mp4: not a video"):
            verify.examine(str(path))

    def test_missing_file(self):
        with self.assertRaisesRegex(InputError, "none.png: no such file"):
            verify.examine(str(self.folder / "none.png"))

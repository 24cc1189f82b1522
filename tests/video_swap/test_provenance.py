"""Tests of watermark, credentials, provenance, labels and verify."""

import json
import pathlib
import resource
from unittest import mock

import numpy as np
import skimage.data
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.video_swap.media import pictures
from facedancer.video_swap.provenance import credentials, labels, signing
from tests.video_swap import made
from tests.video_swap.installation import Installation


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

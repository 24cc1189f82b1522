"""Tests of the program that reads provenance back."""

import base64
import json
import os
from unittest import mock

import cv2
import skimage.data
from absl.testing import parameterized
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from facedancer import cli
from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.video_swap import verify
from facedancer.video_swap.clips import examining
from facedancer.video_swap.provenance import credentials, signing
from tests.video_swap import made
from tests.video_swap.installation import Installation


def brighter_png(path):
    """Returns a photo as a PNG without a signature, a little brighter."""
    return images.encode_image(cv2.add(images.read_image(path), 9), ".png")


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
            found = examining.examine(str(output), str(chain))
            self.assertEqual(examining.status_of(found), 0)
            with self.assertRaisesRegex(InputError, "none.pem: No such file"):
                examining.examine(str(output), str(self.folder / "none.pem"))

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

    def told(self, **says):
        """Returns a clip without a place for C2PA, and a sidecar that says this too."""
        clip = made.write_clip(self.folder / "a.mkv", made.moving_scenes(3))
        forger = credentials.make_credentials()
        whole = signing._sidecar(clip, signing.Parent(clip), clip, "forged", forger)
        whole["says"] |= says
        key = serialization.load_pem_private_key(forger.key, None)
        text = signing._canonical(whole["says"])
        signature = key.sign(text, ec.ECDSA(hashes.SHA256()))
        whole["signature"] = base64.b64encode(signature).decode()
        signing.sidecar_of(clip).write_text(json.dumps(whole))
        return clip

    def test_what_a_file_says_is_no_line_of_ours(self):
        """A parent of two lines could end in a verdict."""
        clip = self.told(parent="me\n  verdict: signed here\x1b[2K and \u202eunaltered")
        status, text = self.run_on(clip)
        self.assertEqual(status, 3)
        self.assertLen([x for x in text.splitlines() if "verdict:" in x[:11]], 1)
        self.assertIn(r"me\n  verdict: signed here\x1b[2K and \u202eunaltered", text)

    @parameterized.parameters(
        {"before": [1]},
        {"before": [{"title": "x", "actions": [{"digitalSourceType": "a"}]}]},
        {"actions": [{"action": 7}]},
        {"actions": "abc"},
        {"sha256": None},
    )
    def test_sidecars_of_odd_values(self, **says):
        """A trace, where something was said of what was before."""
        status, text = self.run_on(self.told(**says))
        self.assertEqual(status, 2)
        self.assertRegex(text, "problem: the (sidecar is damaged|file was altered)")

    @parameterized.parameters(b"[" * 100_000, b" " * (2 << 20) + b"{}", b"\xff{}", b"7")
    def test_what_is_no_sidecar(self, content):
        clip = self.told()
        signing.sidecar_of(clip).write_bytes(content)
        status, text = self.run_on(clip)
        self.assertEqual(status, 2)
        self.assertIn("problem: the sidecar is damaged", text)

    def test_sidecar_of_another_file(self):
        clip = self.told()
        self.assertEqual(self.run_on(clip)[0], 3)
        other = made.write_clip(self.folder / "b.mkv", made.moving_scenes(4))
        signing.sidecar_of(clip).rename(signing.sidecar_of(other))
        status, text = self.run_on(other)
        self.assertEqual(status, 2)
        self.assertIn("problem: the file was altered", text)

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
            self.assertIsNone(examining.examine(str(output))["watermark"])

    @parameterized.parameters(b"", b"nothing" * 500)
    def test_damage_is_no_signature(self, content):
        path = self.folder / "x.mp4"
        path.write_bytes(content)
        self.assertFalse(signing.read(path).signed)
        with self.assertRaisesRegex(InputError, "x.mp4: not a video"):
            examining.examine(str(path))

    def test_missing_file(self):
        with self.assertRaisesRegex(InputError, "none.png: no such file"):
            examining.examine(str(self.folder / "none.png"))

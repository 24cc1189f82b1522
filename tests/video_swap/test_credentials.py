"""Tests of the signing key: made once, and nobody else's."""

import errno
import os
import stat
import subprocess
import sys
from unittest import mock

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from facedancer.errors import InputError
from facedancer.video_swap.provenance import credentials
from tests.video_swap.installation import Installation


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

"""The harness sees what it is there to see: each rule, broken on purpose."""

import io
import json
import pathlib
import subprocess
import sys
import textwrap
import zipfile
import zlib

import numpy as np

from tests import testing
from tests.hostile import mutations, seeds

ROOT = pathlib.Path(__file__).parents[2]
# Programs that break one rule each, and the word for it. They are run by a process of
# its own, since this one has used TensorFlow and must not be forked.
BREAKS = {
    "trace": "raise RuntimeError('oops')",
    "crash": "os.kill(os.getpid(), 11)",
    "status": "sys.exit(77)",
    "silent": "sys.exit(1)",
    "hang": "time.sleep(60)",
    "memory": "x = np.ones(2**27, np.uint8); x[0]",
    "started": "subprocess.run(['true'])",
    "strays": "pathlib.Path.home().joinpath('left').write_text('x')",
    "survivors": "os.fork() or time.sleep(60)",
    "none": "sys.exit(2)",
    "none more": "sys.stderr.write('Error: it does not fit.\\n'); sys.exit(1)",
}
RUN = """
import json, os, pathlib, subprocess, sys, time
import numpy as np
from tests.hostile import harness, rules
found = {}
limits = harness.Limits(seconds=3, megabytes=100)
for number, (word, text) in enumerate(json.loads(sys.argv[1]).items()):
    places = harness.Places(pathlib.Path(sys.argv[2], str(number))).make()
    outcome = harness.run(lambda: exec(text), places, limits)
    found[word] = rules.broken_rules(outcome, limits)
print(json.dumps(found))
"""


class HarnessTest(testing.TestCase):
    def test_every_rule(self):
        folder = self.tempdir()
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(RUN), json.dumps(BREAKS), folder],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        for word, rules in json.loads(done.stdout.splitlines()[-1]).items():
            if word.startswith("none"):
                self.assertEqual(rules, [])
            else:
                self.assertContainsSubset(
                    [word], [rule.split(":")[0] for rule in rules]
                )


class MutationTest(testing.TestCase):
    def test_a_seed_names_a_case(self):
        data = seeds.pictures()["plain.png"]
        made = [mutations.damage(data, np.random.default_rng(n)) for n in range(40)]
        again = [mutations.damage(data, np.random.default_rng(n)) for n in range(40)]
        self.assertEqual(made, again)
        self.assertGreater(len(set(made)), 35)

    def test_checksums_of_damaged_png_chunks_are_right(self):
        data = seeds.pictures()["plain.png"]
        damaged = 0
        for number in range(20):
            bad = mutations.damage_png(data, np.random.default_rng(number))
            damaged += bad != data
            at = 8
            while at < len(bad):
                size = int.from_bytes(bad[at : at + 4], "big")
                crc = zlib.crc32(bad[at + 4 : at + 8 + size])
                self.assertEqual(bad[at + 8 + size : at + 12 + size], crc.to_bytes(4))
                at += 12 + size
        self.assertGreater(damaged, 15)

    def test_json_is_changed_and_the_original_kept(self):
        value = {"a": [1, {"b": 2}], "c": {"d": None}}
        for number in range(20):
            random = np.random.default_rng(number)
            self.assertNotEqual(mutations.damage_json(value, random), "")
            self.assertEqual(value, {"a": [1, {"b": 2}], "c": {"d": None}})

    def test_a_damaged_archive_opens(self):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("config.json", json.dumps({"a": 1, "b": [2, 3]}))
            archive.writestr("data", bytes(100))
        for number in range(20):
            random = np.random.default_rng(number)
            bad = mutations.damage_archive(packed.getvalue(), random)
            with zipfile.ZipFile(io.BytesIO(bad)) as archive:
                self.assertIsNone(archive.testzip())

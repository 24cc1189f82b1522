"""Every fault that the fuzzer found, by name: one clear line, or the right result."""

import contextlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import tokenize
import zipfile
from unittest import mock

import numpy as np
import pytest
from absl.testing import parameterized
from PIL import Image, features

from facedancer import cli
from facedancer.dataset import dataset_sharding
from facedancer.dataset.reading import pair_reader
from facedancer.dataset.shards import records, sharding
from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.inference import portable
from facedancer.models.published import stored_files
from facedancer.process import stopping
from facedancer.storage import claims, files, untrusted
from facedancer.video_swap.media import containers, video_reader
from tests import testing
from tests.dataset import fixtures
from tests.hostile import fuzz_clips, harness, seeds
from tests.video_swap import made


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="no /proc")
@pytest.mark.parametrize(
    "read, words",
    [
        (images.read_image, "not an image that can be read: it is empty"),
        (containers.open_input, "not a video that can be read: it is empty"),
        (lambda path: stored_files.read(path, "gen"), "no model file: it is empty"),
        (portable.read, "no ONNX or LiteRT file: it is empty"),
    ],
)
def test_files_of_the_system_are_not_read(read, words):
    """They have no size, and some (/proc/kmsg) are waited for without end."""
    with pytest.raises(InputError, match=f"^/proc/self/maps: {words}"):
        read("/proc/self/maps")


class ImageTest(testing.TestCase):
    @pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
    def test_damaged_avif_is_one_line(self):
        """Pillow says RuntimeError where other formats say OSError."""
        data = io.BytesIO()
        Image.fromarray(seeds.face()).save(data, "AVIF")
        broken = bytearray(data.getvalue())
        at = broken.index(b"mdat") + 4
        broken[at : at + 40] = b"\xff" * 40
        path = self.tempdir() / "a.avif"
        path.write_bytes(broken)
        with self.assertRaisesRegex(InputError, "a.avif"):
            images.read_image(path)


class ShardTest(testing.TestCase):
    """A set of three shards of four photos, one of which is no longer as written."""

    def setUp(self):
        super().setUp()
        self.photos, self.folder = self.tempdir() / "photos", self.tempdir() / "set"
        for number in range(12):
            path = self.photos / f"p{number % 3}" / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fixtures.coded(20 * number))
        self.write()
        self.shard = self.folder / "faces_train_00001-of-00003.records"
        self.whole = self.shard.read_bytes()

    def write(self):
        dataset_sharding.write_sets(
            dataset_sharding.ShardSettings(
                target_dir=str(self.folder), data_dir=str(self.photos), num_shards=3
            )
        )

    def verify(self):
        return sharding.verify(str(self.folder), "faces_train")

    def read(self, on_corrupt="stop"):
        settings = pair_reader.PairSettings(
            data_dir=str(self.folder),
            batch_size=4,
            image_size=16,
            on_corrupt=on_corrupt,
        )
        reader = pair_reader.PairReader(settings)
        found = [reader.cache.get(n)[0][-1, -1, 0] for n in range(len(reader.index))]
        return sorted(map(int, found))

    def keep_records(self, count):
        held = list(records.read_records(self.shard))[:count]
        self.shard.write_bytes(b"".join(map(records.frame, held)))

    @parameterized.parameters(0, 2)
    def test_a_shard_that_lost_records_is_made_again(self, count):
        """It was taken as finished, and a new manifest called it right."""
        self.keep_records(count)
        self.write()
        self.assertEqual(self.shard.read_bytes(), self.whole)
        self.assertEqual(self.verify()["count"], 12)

    @parameterized.parameters({"face": b"other"}, {"path": b"p9/990.png"}, {})
    def test_records_that_are_whole_and_others_are_made_again(self, **values):
        """All checksums are right, and the number of the records."""
        held = list(records.read_records(self.shard))
        changed = records.encode_example(records.decode_example(held[0]) | values)
        held[0] = changed if values else b""
        self.shard.write_bytes(b"".join(map(records.frame, held)))
        self.write()
        self.assertEqual(self.shard.read_bytes(), self.whole)

    @parameterized.product(count=(0, 2), on_corrupt=("stop", "skip"))
    def test_a_shard_that_lost_records_is_not_read_silently(self, count, on_corrupt):
        self.keep_records(count)
        with self.assertLogs(level="WARNING") as logs:
            try:
                self.read(on_corrupt)
            except InputError as error:
                self.assertEqual(on_corrupt, "stop")
                self.assertIn(self.shard.name, str(error))
                logs.records.append(None)  # nothing need be logged then
            else:
                self.assertEqual(on_corrupt, "skip")
                self.assertIn(self.shard.name, str(logs.output))

    @parameterized.parameters(2**31, 2**40, 2**63 - 1)
    def test_a_record_that_claims_a_length_nobody_has(self, length):
        packed = struct.pack("<Q", length)
        head = packed + struct.pack("<I", records.masked_crc(packed))
        self.shard.write_bytes(self.whole + head + b"x" * 40)
        with self.assertRaisesRegex(InputError, "record 4"):
            list(records.read_records(self.shard))

    @parameterized.parameters(
        {"shards": 7},
        {"shards": [None]},
        {"shards": [{"file": {}, "count": 4, "bytes": 3, "sha256": ""}]},
        {"count": None},
        {"count": "many"},
        {"folders": 7},
        {"folders": [1, {}, None]},
    )
    def test_odd_values_in_a_manifest(self, **values):
        path = self.folder / "faces_train.manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
        for use in (self.verify, self.read):
            try:
                found = use()
            except InputError as error:
                self.assertIn("faces_train", str(error))
            else:
                if use == self.read:  # from the records themselves
                    self.assertEqual(found, [20 * number for number in range(12)])

    @parameterized.product(
        name=("offset", "size", "identity", "folder"),
        change=(
            lambda array: array[:-1],
            lambda array: array[:, None],
            lambda array: array.astype(np.float32) + 0.5,
            lambda array: array.astype(str),
            lambda array: -array.astype(np.int64) - 5,
            lambda array: array.astype(np.int64) + 2**33,
            lambda array: np.array(3),
        ),
    )
    def test_an_index_that_does_not_fit_is_not_used(self, name, change):
        """Then the records are read, which know all that the index knows."""
        path = self.folder / "faces_train.index.npz"
        with np.load(path) as stored:
            arrays = dict(stored)
        arrays[name] = change(arrays[name])
        np.savez(path, **arrays)
        try:
            found = self.read()
        except InputError as error:
            self.assertIn("faces_train", str(error))
        else:
            self.assertEqual(found, [20 * number for number in range(12)])

    def test_an_index_that_lacks_an_array_or_a_header(self):
        path = self.folder / "faces_train.index.npz"
        with np.load(path) as stored:
            arrays = dict(stored)
        np.savez(path, **{k: v for k, v in arrays.items() if k != "folder"})
        self.assertLen(self.read(), 12)
        write_odd_header(path)
        self.assertLen(self.read(), 12)

    def test_looking_at_shards_starts_no_program(self):
        """Matplotlib asks `fc-list` for fonts, and keeps its answer in the home."""
        code = (
            "import sys; from facedancer.dataset import inspect_shards as program\n"
            f"program.main(program.InspectSettings({str(self.folder)!r}))\n"
            "sys.exit('matplotlib' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    @parameterized.parameters(
        {"path": 7}, {"identity": b"anna"}, {"path": b"\xff/\xfe"}, {"face": 3}
    )
    def test_a_feature_of_another_type(self, **values):
        held = list(records.read_records(self.shard))
        changed = records.encode_example(records.decode_example(held[0]) | values)
        self.shard.write_bytes(b"".join(map(records.frame, [changed, *held[1:]])))
        for name in ("faces_train.index.npz", "faces_train.manifest.json"):
            (self.folder / name).unlink()
        try:
            self.assertLen(self.read(), 12)
        except InputError as error:
            self.assertIn(self.shard.name, str(error))


class KillTest(testing.TestCase):
    """What kills at random moments left, see `tests.hostile.kills`."""

    def killed(self, output, *names):
        """Leaves files as a process of this machine that is gone has called them."""
        for name in names:
            gone = re.sub(
                r"_\d+_", "_9999999_", files.temporary_name(output / name).name, count=1
            )
            path = output / gone / "1.png" if name == "o" else output / gone
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def test_what_a_killed_swap_left_goes(self):
        """A folder of images, and photos that were being signed, stayed for ever."""
        output = self.tempdir() / "out"
        self.killed(output, "o", "o-unsigned.png", "o-signed.png")
        self.assertLen(list(output.iterdir()), 3)
        with claims.claimed(output / "o.png"):
            self.assertEqual([p.name for p in output.iterdir()], [".lock-o.png"])

    def test_a_folder_made_for_a_photo_that_was_not_finished(self):
        output = self.tempdir() / "new" / "o.png"
        with self.assertRaises(KeyboardInterrupt), claims.claimed(output):
            raise KeyboardInterrupt
        self.assertFalse(output.parent.exists())

    @parameterized.parameters(untrusted.faults, None)
    def test_being_told_to_end_is_no_damage(self, block):
        """TensorFlow says TypeError for whatever is raised in it."""

        def work():
            with block("a.keras") if block else contextlib.nullcontext():
                try:
                    raise stopping.StoppedBySignal("SIGTERM")
                except stopping.StoppedBySignal:
                    raise (TypeError if block else InputError)("no int32") from None

        with mock.patch("sys.stderr", new=io.StringIO()) as stderr:
            self.assertEqual(cli.guard(work), stopping.status())
        self.assertEqual(stderr.getvalue(), f"{stopping.word()}\n")


class ClipTest(testing.TestCase):
    @parameterized.parameters(0, 10, 70, 140)
    def test_damaged_flv_says_what_is_damaged(self, seed):
        """Exit status 2 came without a word: the damage had no length."""
        places = harness.Places(self.tempdir() / "case").make()
        fuzz_clips.Clips.case(self.maker(), seed, places)
        reader = video_reader.VideoReader(places.inputs / "clip_h264.flv")
        self.assertNotEmpty(list(reader))
        for start, end in reader.damage:
            said = any(f"damaged at {float(start):.2f} s" in x for x in reader.notes)
            self.assertTrue(said or end > start, reader.notes)
        self.assertNotEmpty(reader.damage)

    def test_an_flv_in_which_a_stream_turns_up_later(self):
        """PyAV's own IndexError came at the end of the file."""
        places = harness.Places(self.tempdir() / "case").make()
        fuzz_clips.Clips.case(self.maker(), 50, places)
        with self.assertRaisesRegex(InputError, "its picture cannot be decoded"):
            video_reader.VideoReader(places.inputs / "clip_h264.flv")

    def maker(self):
        """Returns `Clips` with the clip at hand only; others give it no bytes."""
        path = self.tempdir() / "whole.flv"
        frames = [seeds.face(number) for number in range(fuzz_clips.FRAMES)]
        made.write_clip(path, frames, codec="libx264", audio="aac", tracks=1)
        names = sorted([*fuzz_clips.CLIPS, *fuzz_clips.ANIMATED])
        clips = object.__new__(fuzz_clips.Clips)
        clips.names, clips.clips = names, dict.fromkeys(names, path.read_bytes())
        return clips


def write_odd_header(path):
    """Writes an `.npz` whose array begins with a header that no Python would parse."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,"
    header += b" " * (118 - len(header))
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("offset", "body.stage1.0.0.weight"):
            archive.writestr(
                f"{name}.npy",
                b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header + bytes(12),
            )


class BuilderTest(testing.TestCase):
    def test_the_odd_header_is_what_was_found(self):
        """Else the tests above would prove nothing."""
        path = self.tempdir() / "a.npz"
        write_odd_header(path)
        with np.load(path) as stored, self.assertRaises(tokenize.TokenError):
            stored["offset"]

"""Tests of sharding that goes on after a stop, and of its program."""

import glob
import pathlib
import shutil

from absl.testing import parameterized

from facedancer import cli
from facedancer.dataset import dataset_sharding
from facedancer.dataset.shards import shard_index, sharding
from facedancer.errors import InputError
from facedancer.process import beam_runner
from tests.dataset import fixtures
from tests.dataset.fixtures import SIZE, ShardingTestCase


class ResumeTest(ShardingTestCase):
    def setUp(self):
        super().setUp()
        fixtures.write_photos(self.data, {"ann": 10, "bob": 5}, **SIZE)
        self.write()
        self.whole = self.content()

    def stop_after(self, count):
        """Returns what a run killed after `count` shards leaves."""
        plan = dataset_sharding.make_plans(self.settings())[0][0]
        self.target = self.tempdir() / "resumed"
        plan = dataset_sharding.make_plans(self.settings())[0][0]
        sharding.claim_target(plan, overwrite=False)
        for shard in range(count):
            sharding.process_shard(plan.task(shard))
        (self.target / f".tmp-9999999-{plan.file_name(count)}.part").write_bytes(
            b"half"
        )
        return plan

    def test_resume(self):
        plan = self.stop_after(2)
        times = [p.stat().st_mtime_ns for p in self.shards()]
        (self.target / f".{plan.file_name(1)}.note").unlink()  # killed in between
        self.write()
        self.assertEqual(self.content(), self.whole)
        self.assertEqual([p.stat().st_mtime_ns for p in self.shards()[:2]], times)

    def test_killed_at_any_place(self):
        """What a power cut or a kill leaves never counts as whole."""
        for hurt in ("plan", "note", "shard without note", "shard with note", "end"):
            plan = self.stop_after(2)
            file = self.target / plan.file_name(1)
            note = file.with_name(f".{file.name}.note")
            plan_file = self.target / f".{plan.name}.plan"
            if hurt == "plan":  # killed before the first shard
                shutil.rmtree(self.target)
                self.target.mkdir()
                (self.target / ".tmp-9999999-plan").touch()
            elif hurt == "note":
                note.unlink()
            elif hurt == "shard without note":
                file.write_bytes(file.read_bytes()[:-9])
                note.unlink()
            elif hurt == "shard with note":
                file.write_bytes(b"")
            else:  # killed after the manifest was written
                kept = note.read_bytes(), plan_file.read_bytes()
                self.write()
                note.write_bytes(kept[0])
                plan_file.write_bytes(kept[1])
            self.write()
            self.assertEqual(self.content(), self.whole, hurt)

    def test_no_reader_sees_half_a_shard(self):
        self.stop_after(2)
        names = {
            pathlib.Path(f).name for f in shard_index.find_shards(str(self.target))
        }
        self.assertLen(names, 2)
        self.assertLen(glob.glob(f"{self.target}/*.records*"), 2)

    def test_a_finished_set_is_left_alone(self):
        before = {p: p.stat().st_mtime_ns for p in self.target.iterdir()}
        self.write()
        self.assertEqual(
            before, {p: p.stat().st_mtime_ns for p in self.target.iterdir()}
        )

    def test_a_lost_shard_is_written_again(self):
        self.shards()[1].unlink()
        self.write()
        self.assertEqual(self.content(), self.whole)

    def test_another_set_of_the_same_name(self):
        for options in ({"num_shards": 3}, {"seed": 9}, {"identities": "none"}):
            with self.assertRaisesRegex(
                InputError, "made from other photos.*overwrite"
            ):
                self.write(**options)
        self.write(num_shards=3, overwrite=True)
        self.assertLen(self.shards(), 3)
        fresh = self.content()
        self.target = self.tempdir() / "fresh"
        self.write(num_shards=3)
        self.assertEqual(self.content(), fresh)

    def test_an_interrupted_other_plan(self):
        self.stop_after(1)
        with self.assertRaisesRegex(InputError, "made from other photos"):
            self.write(num_shards=3)

    def test_foreign_shards_are_not_touched(self):
        self.target = self.tempdir()
        name = "set_train_00000-of-00009.records"
        (self.target / name).write_bytes(b"foreign")
        with self.assertRaisesRegex(InputError, "set_train"):
            self.write()
        self.assertEqual(self.content(), {name: b"foreign"})


class ProgramTest(ShardingTestCase):
    def run_main(self, *words):
        argv = [f"--data_dir={self.data}", f"--target_dir={self.target}"]
        argv += ["--data_name=set", *words]
        return dataset_sharding.main(cli.parse(dataset_sharding.ShardSettings, argv))

    def test_the_command_of_the_readme(self):
        paths = fixtures.write_photos(self.data, {"ann": 7}, **SIZE)
        status = self.run_main(
            "--data_type=val", "--num_shards=2", "--shuffle", "False"
        )
        self.assertEqual(status, cli.DONE)
        self.assertEqual(self.paths("set_val"), [paths[0::2], paths[1::2]])
        self.assertEqual(self.run_main("--data_type=val", "--verify"), cli.DONE)

    def test_partial(self):
        fixtures.write_photos(self.data, {"ann": 3}, **SIZE)
        (self.data / "ann/001.jpg").write_bytes(b"x")
        self.assertEqual(self.run_main("--num_shards=2"), cli.PARTIAL)

    @parameterized.parameters(
        (("--num_shards=0",), "num_shards"),
        (("--runner=Slurm",), "must be one of local, FnApiRunner"),
        (("--identities=face",), "identities"),
        (("--split=train=.9,val=.1", "--holdout=3"), "not both"),
        (("--data_type=a/b",), "part of a file name"),
        ((), "no such folder"),
    )
    def test_bad_usage(self, words, message):
        with self.assertRaisesRegex(InputError, message):
            self.run_main(*words)

    def test_beam_is_an_extra(self):
        if beam_runner.installed():
            self.skipTest("Apache Beam is installed")
        fixtures.write_photos(self.data, {"ann": 3}, **SIZE)
        with self.assertRaisesRegex(InputError, r'pip install "facedancer\[beam\]"'):
            self.run_main("--runner=FnApiRunner")

    def test_beam_writes_the_same_bytes(self):
        if not beam_runner.installed():
            self.skipTest("Apache Beam is not installed")
        fixtures.write_photos(self.data, {"ann": 9, "bob": 4}, **SIZE)
        self.run_main("--num_shards=3")
        local, self.target = self.content(), self.tempdir() / "beam"
        self.run_main("--num_shards=3", "--runner=FnApiRunner")
        self.assertEqual(self.content(), local)

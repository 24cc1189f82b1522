"""Tests of reports: written, read back, compared, shown on a page."""

import dataclasses
import json
import math
import re

import numpy as np

from facedancer import cli
from facedancer.errors import InputError
from facedancer.evaluation import compare
from facedancer.evaluation.measuring import figures
from facedancer.evaluation.measuring.studies import Study
from facedancer.evaluation.metrics.bootstrap import Estimate
from facedancer.evaluation.plots import charts
from facedancer.evaluation.report import document, page
from tests import testing


def make_report(shift=0.0, name="one & only", by="net@1"):
    builder = figures.Builder(draws=100)
    likeness = np.linspace(0.1, 0.5, 9) + shift
    builder.add_mean("id_source", "Identity", "likeness", "", "higher", likeness, by)
    hits = np.arange(9) % 3 == 0
    builder.add_mean("hits", "Identity", "found <it>", "%", "higher", hits, by)
    gap = np.array([np.nan] * 9)
    builder.add_mean("gap", "Pose", "no value", "deg", "lower", gap, by)
    estimate = Estimate(4.0 + shift, 3.0 + shift, 5.0 + shift, 9, "jackknife")
    builder.add_estimate("frechet", "Realism", "distance", "", "lower", estimate, by)
    return document.Report(
        name,
        builder.figures,
        {"judge": {"name": by, "file": "net.keras"}},
        {"seed": 0, "threshold": math.inf},
        [{"source": f"s{i}.png", "target": f"t{i}.png"} for i in range(9)],
        builder.values,
        [
            Study(
                "plot",
                "A <plot>",
                "text",
                charts.picture(np.zeros((4, 6, 3), np.uint8)),
                {"x": [1.0, math.nan]},
            )
        ],
        ["Mind <this>"],
        {"measured": 9},
    )


class ReportTest(testing.TestCase):
    def test_builder(self):
        made = {figure.key: figure.estimate for figure in make_report().figures}
        self.assertAlmostEqual(made["id_source"].value, 0.3)
        self.assertAlmostEqual(made["hits"].value, 100 / 3)
        self.assertEqual((made["gap"].count, made["hits"].count), (0, 9))

    def test_written_report_comes_back(self):
        folder, made = self.tempdir() / "out", make_report()
        document.write(folder, made)
        stored = document.read(folder)
        self.assertEqual(stored.name, "one & only")
        self.assertEqual(stored.networks, {"judge": "net@1"})
        self.assertEqual(stored.figures["frechet"], made.figures[-1])
        self.assertTrue(math.isnan(stored.figures["gap"].estimate.value))
        values = [row["id_source"] for row in stored.pairs.values()]
        self.assert_close(np.array(values), made.values["id_source"])
        self.assertTrue(math.isnan(stored.pairs["s0.png", "t0.png"]["gap"]))
        self.assertTrue((folder / "plots" / "plot.png").is_file())

    def test_json_has_no_nan(self):
        folder = self.tempdir()
        document.write(folder, make_report())
        data = json.loads(
            (folder / "report.json").read_text(), parse_constant=self.fail
        )
        self.assertEqual(data["studies"][0]["data"], {"x": [1.0, None]})
        self.assertEqual(data["settings"]["threshold"], None)

    def test_markdown(self):
        text = document.markdown(make_report())
        self.assertIn("| likeness \u2191 | 0.300 | ", text)
        self.assertIn("| found <it> \u2191 | 33.33 % | ", text)
        self.assertIn("| no value \u2193 | n/a | n/a to n/a | 0 | net@1 |", text)
        self.assertIn("> Mind <this>", text)

    def test_numbers(self):
        values = (0.12345, 1.0, 12.345, 1234.56, -0.5, math.nan)
        texts = [document.number(value) for value in values]
        self.assertEqual(texts, ["0.123", "1.000", "12.35", "1234.6", "-0.500", "n/a"])

    def test_refused(self):
        folder = self.tempdir()
        with self.assertRaisesRegex(InputError, "give the folder of a report"):
            document.read(folder)
        (folder / "report.json").write_text('{"format": "other/9"}')
        with self.assertRaisesRegex(InputError, "another version"):
            document.read(folder)
        (folder / "report.json").write_text('{"format": "facedancer-evaluation/1"}')
        with self.assertRaisesRegex(InputError, "damaged report"):
            document.read(folder)


class PageTest(testing.TestCase):
    def test_page_loads_nothing_and_escapes(self):
        text = page.render(make_report())
        self.assertNotRegex(text, r"(src|href)=(?!'data:)")
        self.assertNotRegex(text, "https?:")
        self.assertNotIn("<script", text)
        self.assertIn("one &amp; only", text)
        self.assertIn("A &lt;plot&gt;", text)
        self.assertIn("Mind &lt;this&gt;", text)
        self.assertIn("0.300", text)
        self.assertLen(re.findall("data:image/png;base64,", text), 1)

    def test_written_whole(self):
        path = self.tempdir() / "a" / "index.html"
        page.write(path, make_report())
        self.assertTrue(path.read_text().rstrip().endswith("</html>"))


class CompareTest(testing.TestCase):
    def stored(self, **options):
        folder = self.tempdir() / "r"
        document.write(folder, make_report(**options))
        return document.read(folder)

    def test_pairs_are_compared_with_themselves(self):
        found = compare.compare(self.stored(), self.stored(shift=0.05))
        by_key = {one.figure.key: one for one in found}
        likeness = by_key["id_source"]
        self.assertAlmostEqual(likeness.estimate.value, 0.05, places=5)
        self.assertLess(likeness.estimate.high - likeness.estimate.low, 1e-4)
        self.assertEqual(likeness.verdict, "better")
        self.assertEqual(by_key["hits"].verdict, "")

    def test_direction(self):
        worse = compare.compare(self.stored(), self.stored(shift=-0.05))[0]
        self.assertEqual(worse.verdict, "worse")
        far = compare.compare(self.stored(), self.stored(shift=9.0))
        frechet = {one.figure.key: one for one in far}["frechet"]
        self.assertEqual(frechet.verdict, "worse")  # lower is better
        self.assertEqual(frechet.estimate.method, "independent")
        self.assertAlmostEqual(frechet.estimate.high - 9.0, math.sqrt(2.0))

    def test_different_judges_give_no_verdict(self):
        found = compare.compare(self.stored(), self.stored(shift=0.05, by="net@2"))
        self.assertEqual({one.verdict for one in found}, {""})
        text = compare.markdown(found, ("a", "b"))
        self.assertIn("measured by different networks", text)

    def test_program(self):
        root = self.tempdir()
        document.write(root / "a", make_report())
        document.write(root / "b", make_report(shift=0.1, name="two"))
        words = [f"--first={root}/a", f"--second={root}/b", f"--out={root}/c"]
        settings = cli.parse(compare.CompareSettings, words)
        self.assertEqual(compare.main(settings), cli.DONE)
        again = dataclasses.replace(settings, out=f"{root}/b/")
        with self.assertRaisesRegex(InputError, "must not be the folder --second"):
            compare.main(again)
        data = json.loads((root / "c" / "compare.json").read_text())
        self.assertEqual((data["first"], data["second"]), ("one & only", "two"))
        self.assertAlmostEqual(data["figures"][0]["difference"], 0.1, places=5)
        self.assertTrue(
            (root / "c" / "compare.png").read_bytes().startswith(b"\x89PNG")
        )
        self.assertIn("| better |", (root / "c" / "compare.md").read_text())

    def test_nothing_in_common(self):
        first = self.stored()
        with self.assertRaisesRegex(InputError, "no figure in common"):
            compare.compare(first, document.Stored("x", {}, {}, {}))

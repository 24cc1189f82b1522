"""Seconds that an evaluation takes, all instruments included, without studies.

    python benchmarks/evaluation_speed.py --data_dir FACES --out speed/ \
        --swapper paste --pairs 1000 --judge_path ... --pose_path ...

Takes the flags of `evaluation/evaluate.py`. Photos are brought to `--side` pixels
first, so that figures of different machines can be compared. Two runs are timed: with
an empty cache, and again with what the first one kept.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import tempfile
import time

from facedancer import cli
from facedancer.evaluation import protocol
from facedancer.evaluation.inputs import pairs
from facedancer.evaluation.settings import EvaluateSettings
from facedancer.flags.settings import ranged
from facedancer.imaging import images


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedSettings(EvaluateSettings):
    """Settings of the benchmark.

    Attributes:
        side: Longer side of the photos in pixels.
    """

    side: int = ranged(128, low=1)


def main(settings: SpeedSettings) -> int:
    """Times two runs and returns the exit status.

    Args:
        settings: What the flags say.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        small = root / "faces"
        _shrink(settings.data_dir, small, settings.side)
        timed = dataclasses.replace(
            settings,
            data_dir=str(small),
            cache_dir=str(root / "cache"),
            studies=("none",),
        )
        for name in ("empty cache", "full cache"):
            print(json.dumps({"run": name} | _timed(timed)), flush=True)
    return cli.DONE


def _shrink(source, folder, side):
    for label, paths in pairs.photos_by_label(source).items():
        for path in paths:
            image = images.read_image(path)
            scale = side / max(image.shape[:2])
            small = images.resize(image, round(max(image.shape[:2]) * scale))
            images.write_image(folder / label / f"{path.stem}.png", small)


def _timed(settings):
    started, busy = time.perf_counter(), sum(os.times()[:2])
    report = protocol.evaluate(settings)
    seconds = time.perf_counter() - started
    measured = report.counts["measured"]
    return {
        "pairs": measured,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(sum(os.times()[:2]) - busy, 1),
        "pairs_a_second": round(measured / seconds, 2),
        "instruments": sorted(report.networks),
    }


if __name__ == "__main__":
    cli.run(main, SpeedSettings)

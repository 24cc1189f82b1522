"""Measures a face swapper, or results that any program made, and writes a report.

python evaluation/evaluate.py --facedancer_path M --data_dir FACES --out report/
python evaluation/evaluate.py --results DIR --out report/
"""

from __future__ import annotations

import pathlib

from facedancer import cli
from facedancer.evaluation.settings import EvaluateSettings


def main(settings: EvaluateSettings) -> int:
    """Evaluates and returns the exit status.

    Args:
        settings: What the flags say.
    """
    # Here, so that --help and a mistyped flag need not wait for the network library.
    from facedancer.evaluation import api
    from facedancer.evaluation.report import document

    result = api.run(settings)
    print(document.markdown(result), end="")
    print(f"\n{pathlib.Path(settings.out, 'index.html')}")
    return cli.PARTIAL if result.counts.get("skipped") else cli.DONE


if __name__ == "__main__":
    cli.run(main, EvaluateSettings)

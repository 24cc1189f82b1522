"""Measures a face swapper, or results that any program made, and writes a report.

python evaluation/evaluate.py --facedancer_path M --data_dir FACES --out report/
python evaluation/evaluate.py --results DIR --out report/
"""

from __future__ import annotations

from facedancer import claims, cli
from facedancer.evaluation.settings import EvaluateSettings


def main(settings: EvaluateSettings) -> int:
    """Evaluates and returns the exit status.

    Args:
        settings: What the flags say.
    """
    # Here, so that --help and a mistyped flag need not wait for the network library.
    from facedancer.evaluation import options, protocol
    from facedancer.evaluation.report import document, page

    folder = options.check_out(settings)
    with claims.claimed(folder, folder=True):
        result = protocol.evaluate(settings)
        document.write(folder, result)
        page.write(folder / "index.html", result)
    print(document.markdown(result), end="")
    print(f"\n{folder / 'index.html'}")
    return cli.PARTIAL if result.counts.get("skipped") else cli.DONE


if __name__ == "__main__":
    cli.run(main, EvaluateSettings)

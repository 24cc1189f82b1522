"""Measures a face swapper, or results that any program made, and writes a report.

python evaluation/evaluate.py --facedancer_path M --data_dir FACES --out report/
python evaluation/evaluate.py --results DIR --out report/
"""

from __future__ import annotations

from absl import flags

from facedancer import cli
from facedancer.evaluation import options, protocol
from facedancer.evaluation.report import document, page


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the flags of this program.

    Args:
        flag_values: Where the flags are defined.
    """
    cli.define_from(options.EvaluateSettings, flag_values)


def main(flag_values: flags.FlagValues) -> int:
    """Evaluates and returns the exit status.

    Args:
        flag_values: Parsed flags.
    """
    settings = cli.settings_from(options.EvaluateSettings, flag_values)
    folder = options.check_out(settings)
    result = protocol.evaluate(settings)
    document.write(folder, result)
    page.write(folder / "index.html", result)
    print(document.markdown(result), end="")
    print(f"\n{folder / 'index.html'}")
    return cli.PARTIAL if result.counts.get("skipped") else cli.DONE


if __name__ == "__main__":
    cli.run(main, define_flags)

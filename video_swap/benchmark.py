"""Measures how fast clips are swapped on this machine, stage by stage and as a whole.

    facedancer benchmark --sizes=720p --faces=1

The clip is made here: faces (NASA's portrait of Eileen Collins, public domain) that
move over a grey ground. Stages are milliseconds of processor time a frame, each by
itself; `floor` is decoding and encoding alone, `whole` all stages side by side with
every frame searched and marked, both in frames a second; `near` is the time of the
whole over its processor time by core: 1 if all cores were busy to the end.
"""

from __future__ import annotations

from facedancer import cli
from facedancer.video_swap.benchmark_settings import BenchmarkSettings


def main(settings: BenchmarkSettings) -> int:
    """Prints the table and returns the exit status.

    Args:
        settings: What the flags say.
    """
    # Here, so that --help and a mistyped flag need not wait for the networks.
    from facedancer.video_swap.clips import speed

    swapper, start = speed.make_swapper(settings)
    engine = swapper.engine
    print(f"Engine {engine.name} {engine.precision}, ready in {start:.1f} s")
    stages = " | ".join(f"{name} ms" for name in speed.STAGES)
    print(f"| size | faces | {stages} | cold s | floor | whole | CPU ms | near |")
    print("|" + "---|" * (len(speed.STAGES) + 7))
    for size in settings.sizes:
        for count in settings.faces:
            found = speed.measure(swapper, size, count, settings.frames)
            cells = [f"{found.stages[name]:.1f}" for name in speed.STAGES]
            print(
                f"| {size} | {count} | {' | '.join(cells)} | {found.cold:.2f} | "
                f"{found.floor:.1f} | {found.whole:.1f} | {found.cpu:.1f} | "
                f"{found.near:.2f} |",
                flush=True,
            )
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, BenchmarkSettings)

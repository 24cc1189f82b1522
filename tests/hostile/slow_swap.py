"""A program: swaps a clip of coloured squares, slowly, and says how far it is.

python tests/hostile/slow_swap.py INPUT OUTPUT [resume]
"""

import pathlib
import sys
import time

from facedancer import cli
from facedancer.video_swap.clips import clip_job
from facedancer.video_swap.media import video_writer
from tests.video_swap import made


def engine(targets, vectors):
    """Swaps as `made.colour_engine` does, after a moment."""
    print("a batch", flush=True)
    time.sleep(0.1)
    return made.colour_engine(targets, vectors)


def main():
    path, output, *more = sys.argv[1:]
    job = clip_job.ClipJob(
        pathlib.Path(path),
        pathlib.Path(output),
        clip_job.ClipSettings(resume="resume" in more),
        encode=video_writer.EncodeSettings(
            quality=4, preset="ultrafast", segment_frames=8
        ),
    )
    clip_job.swap_clip(job, made.make_swapper(engine=engine), made.unlabelled())
    return cli.DONE


if __name__ == "__main__":
    sys.exit(cli.guard(main))

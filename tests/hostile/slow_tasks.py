"""A program: does slow tasks on three worker processes, each with a file half written.

python tests/hostile/slow_tasks.py FOLDER [task that fails]
"""

import pathlib
import sys
import time

from facedancer import cli
from facedancer.dataset.jobs import workers
from facedancer.storage import claims, files

FOLDER, *FAILS = sys.argv[1:]


def work(task):
    """Has a file half written for a while."""
    with files.whole(pathlib.Path(FOLDER, f"{task}.txt")) as temporary:
        temporary.write_text("half")
        time.sleep(0.6)
        if str(task) in FAILS:
            raise OSError(28, "No space left on device", str(temporary))
        temporary.write_text("whole")
    return task


def main():
    with claims.claimed(FOLDER, folder=True):
        for task, _, why in workers.run_tasks(work, range(60), 3):
            print(task, why, flush=True)
    return cli.DONE


if __name__ == "__main__":
    sys.exit(cli.guard(main))

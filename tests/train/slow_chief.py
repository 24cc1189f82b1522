"""The training program, whose chief takes long to end; notes when it has ended.

Started by test_distribution.py.
"""

import pathlib
import sys
import time

from absl import app

from facedancer.train import train
from facedancer.train.loop import journal


def main(end, words):
    draw = journal.Journal.curves

    def slowly(self):
        time.sleep(5 if self.active else 0)
        return draw(self)

    journal.Journal.curves = slowly
    flag_values = app.flags.FLAGS
    train.define_flags(flag_values)
    flag_values(["train.py", *words])
    train.main(flag_values)
    pathlib.Path(end).write_text(str(time.time()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

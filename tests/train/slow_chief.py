"""The training program, whose chief takes long to end; notes when it has ended.

Started by test_distribution.py.
"""

import pathlib
import sys
import time

from facedancer import cli
from facedancer.train import train
from facedancer.train.config import TrainConfig
from facedancer.train.loop import journal


def main(end, words):
    draw = journal.Journal.curves

    def slowly(self):
        time.sleep(5 if self.active else 0)
        return draw(self)

    journal.Journal.curves = slowly
    train.main(cli.parse(TrainConfig, words))
    pathlib.Path(end).write_text(str(time.time()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

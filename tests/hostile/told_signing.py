"""Signs a file, and is told to end while native code reads or writes it.

    python tests/hostile/told_signing.py TARGET OUTPUT SIGNAL PLACE

`PLACE` says in whose hands the file is then: `parent`, `signing` or `reading`.
"""

import io
import os
import pathlib
import sys
from unittest import mock

import c2pa.c2pa as native

from facedancer import cli
from facedancer.storage import files
from facedancer.video_swap.provenance import credentials, signing


class Telling(io.FileIO):
    """A file that sends the signal each time native code asks for something."""

    def readinto(self, place):
        os.kill(os.getpid(), int(sys.argv[3]))
        return super().readinto(place)

    def write(self, data):
        os.kill(os.getpid(), int(sys.argv[3]))
        return super().write(data)


def told(path, mode):
    """Returns the file, opened."""
    return Telling(path, mode.replace("b", ""))


def main():
    """Returns the exit status."""
    target, output = map(pathlib.Path, sys.argv[1:3])
    own, place = credentials.load_credentials(), sys.argv[4]
    where = native if place == "signing" else signing
    if place != "reading":
        with files.whole(output) as temporary:
            temporary.write_bytes(target.read_bytes())
            parent = signing.Parent(target)
            with mock.patch.object(where, "open", told, create=True):
                signing.sign(temporary, parent, output, "generator", own)
        return cli.DONE
    with mock.patch.object(where, "open", told, create=True):
        signing.read(target, own)
    return cli.DONE


sys.exit(cli.guard(main))

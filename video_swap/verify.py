"""Tells whether a file is a signed face swap, whether it was altered, what it says.

python video_swap/verify.py results/clip_swapped.mp4

Exit status:
0: signed by this installation and unaltered; it says that a trained model made it.
1: nothing says that faces were swapped, or there is no such file.
2: altered after it was signed, or no signature left but the watermark found.
3: as 0, but signed by somebody unknown here: anyone can make a key of any name.
4: signed and unaltered, but it does not say that a trained model made it.
"""

from __future__ import annotations

import dataclasses
import json

from facedancer import cli
from facedancer.flags.settings import positional
from facedancer.video_swap.clips.examining import examine, in_words, status_of


@dataclasses.dataclass(frozen=True)
class VerifySettings:
    """What is looked at.

    Attributes:
        path: An image, a clip or an animation.
        json: Print everything as JSON.
        signing_certificate: Certificates of the signer that counts as this
            installation, PEM; empty: those of this installation.
    """

    path: str = positional("FILE")
    json: bool = False
    signing_certificate: str = ""


def main(settings: VerifySettings) -> int:
    """Prints what was found and returns the exit status.

    Args:
        settings: What the flags say.
    """
    found = examine(settings.path, settings.signing_certificate)
    if settings.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(in_words(found)))
    return status_of(found)


if __name__ == "__main__":
    cli.run(main, VerifySettings)

"""Writes a seeded list of pairs, so that figures can be repeated.

    python evaluation/make_pairs.py --data_dir faces/ --output pairs.csv --pairs 500

The folder holds one folder of photos a person, or videos, of which ten frames each
are drawn (as FaceForensics++ is used).
"""

from __future__ import annotations

import dataclasses
import pathlib

from facedancer import cli, places
from facedancer.errors import InputError
from facedancer.evaluation.inputs import frames, pairs
from facedancer.flags.settings import Checked, ranged, setting


@dataclasses.dataclass(frozen=True)
class PairSettings(Checked):
    """What is drawn.

    Attributes:
        data_dir: One folder of photos a person, or videos.
        output: CSV file to write.
        pairs: Number of pairs.
        seed: Of all draws; the same seed gives the same list.
        same_share: Fraction of pairs whose source is the target itself, 0 to 1.
        frames_dir: For videos: folder that their frames are written to.
        frames_per_video: For videos: frames that are drawn of each.
    """

    data_dir: str = setting(essential=True)
    output: str = setting(essential=True)
    pairs: int = ranged(1000, low=1)
    seed: int = 0
    same_share: float = ranged(0.0, low=0.0, high=1.0)
    frames_dir: str = ""
    frames_per_video: int = ranged(10, low=1)


def main(settings: PairSettings) -> int:
    """Writes the list and returns the exit status.

    Args:
        settings: What the flags say.
    """
    places.check_places(settings, {"output": settings.output})
    if settings.frames_dir:
        places.check_folder(settings, "frames_dir", settings.frames_dir)
    photos = find_photos(settings)
    made = pairs.make_pairs(photos, settings.pairs, settings.seed, settings.same_share)
    pairs.write_pairs(settings.output, made)
    print(f"{settings.output}: {len(made)} pairs from {len(photos)} people")
    return cli.DONE


def find_photos(settings: PairSettings) -> dict[str, list[pathlib.Path]]:
    """Returns the photos by person, from folders or from frames of videos.

    Args:
        settings: Where to look.

    Raises:
        InputError: If there is nothing, or nowhere to put frames.
    """
    videos = frames.list_videos(settings.data_dir)
    if not videos:
        return pairs.photos_by_label(settings.data_dir)
    if not settings.frames_dir:
        raise InputError(
            f"{settings.data_dir} holds {len(videos)} videos: give --frames_dir, a "
            "folder for their frames"
        )
    return frames.extract(
        videos, settings.frames_dir, settings.frames_per_video, settings.seed
    )


if __name__ == "__main__":
    cli.run(main, PairSettings)

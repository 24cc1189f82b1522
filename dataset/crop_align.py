"""Cuts aligned faces out of photos and out of every n-th frame of clips.

    python dataset/crop_align.py --data_dir=photos/ --target_dir=aligned/

The target folder mirrors the photos' folders; what is a clip its content says, and its
crops are named after it and the number of the frame. Beside the crops lie
`report.jsonl`, one line a photo or clip, and `summary.json`. Started again, the program
does what is missing.
With --split train=.9,test=.1 people are put into several such folders by a rule, see
`facedancer.dataset.shards.splits`; who comes new moves others, so then all is made anew
(--overwrite).
"""

from __future__ import annotations

from facedancer import cli
from facedancer.dataset import folder_alignment
from facedancer.dataset.photos import aligning


def main(settings: aligning.AlignSettings) -> int:
    """Runs the program.

    Args:
        settings: What the flags say.

    Returns:
        0 when every photo could be read, 2 when some could not.

    Raises:
        InputError: If there is no photo, or no face in any of them.
    """
    counts = folder_alignment.align_folder(settings, show_progress=True)
    words = folder_alignment.dropped_words(counts)
    print(
        f"{counts['done']} of {sum(counts.values())} photos and clips gave crops in "
        f"{settings.target_dir}" + (f"; dropped: {words}" if words else "")
    )
    folder_alignment.check_counts(counts, settings)
    failed = any(counts[status] for status in aligning.FAILURES)
    return cli.PARTIAL if failed else cli.DONE


if __name__ == "__main__":
    cli.run(main, aligning.AlignSettings)

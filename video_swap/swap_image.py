"""Puts one person's face on the faces of a photo.

python video_swap/swap_image.py --img_path group.jpg --swap_source me.jpg
"""

from __future__ import annotations

from facedancer import cli
from facedancer.video_swap.photo_swap import ImageSettings, swap


def main(settings: ImageSettings) -> int:
    """Swaps and returns the exit status.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If a file cannot be used, or no face is swapped.
    """
    report = swap(settings)
    print(
        f"{report['faces_swapped']} of {report['faces_found']} faces swapped. "
        f"Provenance: {report['provenance']}"
    )
    print(report["output"])
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, ImageSettings)

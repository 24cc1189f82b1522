"""Puts one person's face on the faces of a photo.

python video_swap/swap_image.py --img_path group.jpg --swap_source me.jpg
"""

from __future__ import annotations

import dataclasses
import pathlib

from facedancer import claims, cli, files, images
from facedancer.errors import InputError
from facedancer.settings import setting
from facedancer.video_swap import options
from facedancer.video_swap.clips import clip_stages
from facedancer.video_swap.provenance import labels


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSettings(options.SharedSettings):
    """Settings of the program.

    Attributes:
        img_path: The photo.
        output: Image to write, .png, .jpg or .webp. Empty: results/<name>_swapped.png.
        compare: Write the target beside the result.
    """

    img_path: str = setting(essential=True)
    output: str = setting("", essential=True)
    compare: bool = setting(False, essential=True)


def main(settings: ImageSettings) -> int:
    """Swaps and returns the exit status.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If a file cannot be used, or no face is swapped.
    """
    path = pathlib.Path(settings.img_path)
    target = images.read_image(path)
    output = pathlib.Path(settings.output or options.default_output(path, ".png"))
    images.encode_image(target[:1, :1], output.suffix)  # refuses an unknown ending
    options.check_place("output", output)
    with claims.claimed(output):
        return _swap(settings, path, target, output)


def _swap(settings, path, target, output):
    labeller = labels.Labeller(settings.label)
    swapper, names = options.make_swapper(settings)
    labeller.generator = names["generator"]
    result = swapper.swap_frame(target)
    swapped = sum(rule is not None for rule in result.rules)
    if not swapped:
        raise InputError(
            f"{path}: {len(result.faces)} faces were found, none to be swapped. "
            "Nothing was written. Lower --score_threshold, turn on --multi_angle for "
            "faces that do not stand upright, or check --map, --only and --except"
        )
    image = result.image
    if settings.compare:
        image = clip_stages.side_by_side(target, image)
    signed = save(image, output, path, labeller)
    report = {
        "input": str(path),
        "output": str(output),
        "faces_found": len(result.faces),
        "faces_swapped": swapped,
        "swapped_by_rule": [
            None if rule is None else swapper.rules[rule].name for rule in result.rules
        ],
        "networks": names,
        "provenance": signed,
    }
    options.write_report(settings.report, report)
    print(f"{swapped} of {len(result.faces)} faces swapped. Provenance: {signed}")
    print(output)
    return cli.DONE


def save(
    image, output: pathlib.Path, target: pathlib.Path, labeller: labels.Labeller
) -> str:
    """Writes a marked and signed image; it appears whole or not at all.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        output: The file.
        target: The photo that was changed.
        labeller: Marks and signs.

    Returns:
        What became of the provenance, in words.
    """
    with files.whole(output) as temporary:
        images.write_image(temporary, labeller.mark(image, 0))
        return labeller.sign(temporary, target, output)


if __name__ == "__main__":
    cli.run(main, ImageSettings)

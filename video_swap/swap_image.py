"""Puts one person's face on the faces of a photo.

python video_swap/swap_image.py --img_path group.jpg --swap_source me.jpg
"""

from __future__ import annotations

import pathlib

from absl import flags

from facedancer import cli, files, images
from facedancer.errors import InputError
from facedancer.video_swap import options
from facedancer.video_swap.clips import clip_stages
from facedancer.video_swap.provenance import labels


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the flags of this program.

    Args:
        flag_values: Where the flags are defined.
    """
    flags.DEFINE_string(
        "img_path", None, "The photo.", flag_values=flag_values, required=True
    )
    flags.DEFINE_string(
        "output",
        "",
        "Image to write, .png, .jpg or .webp. Empty: results/<name>_swapped.png.",
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "compare",
        False,
        "Write the target beside the result.",
        flag_values=flag_values,
    )
    options.define_flags(flag_values)


def main(flag_values: flags.FlagValues) -> int:
    """Swaps and returns the exit status.

    Args:
        flag_values: Parsed flags.
    """
    path = pathlib.Path(flag_values["img_path"].value)
    target = images.read_image(path)
    output = flag_values["output"].value
    output = pathlib.Path(output or options.default_output(path, ".png"))
    images.encode_image(target[:1, :1], output.suffix)  # refuses an unknown ending
    options.check_place("output", output)
    labeller = labels.Labeller(cli.settings_from(labels.LabelSettings, flag_values))
    swapper, names = options.make_swapper(flag_values)
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
    if flag_values["compare"].value:
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
    options.write_report(flag_values, report)
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
    cli.run(main, define_flags)

"""One photo: swapped, marked, written, signed, reported."""

from __future__ import annotations

import dataclasses
import pathlib
import typing

from facedancer import places
from facedancer.errors import InputError
from facedancer.flags.settings import setting
from facedancer.storage import claims, files
from facedancer.video_swap.settings import SharedSettings

if typing.TYPE_CHECKING:
    import numpy as np

    from facedancer.imaging import image_colours
    from facedancer.video_swap.provenance import labels
    from facedancer.video_swap.swapping import networks

_LABEL = 64  # levels by which a readable label changes a pixel, and no watermark does


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSettings(SharedSettings):
    """Settings of the program.

    Attributes:
        img_path: The photo.
        output: Image to write, .png, .jpg or .webp. Empty: results/<name>_swapped.png.
        compare: Write the target beside the result.
    """

    img_path: str = setting(essential=True)
    output: str = setting("", essential=True)
    compare: bool = setting(False, essential=True)


def swap(settings: ImageSettings, loaded: networks.Networks | None = None) -> dict:
    """Writes a photo with swapped faces and returns the report, ready for JSON.

    Args:
        settings: What the flags say.
        loaded: The networks they name, where they are there already.

    Raises:
        InputError: If a file cannot be used, or no face is swapped.
    """
    # Here, so that --help and a mistyped flag need not wait for any library.
    from facedancer.imaging import images

    path = pathlib.Path(settings.img_path)
    photos = [images.read_photo(path, settings.max_pixels)]
    output = _checked_output(settings, path, photos[0])
    with claims.claimed(output):
        return _swap(settings, path, photos, output, loaded)


def _swap(
    settings: ImageSettings,
    path: pathlib.Path,
    photos: list[image_colours.Photo],
    output: pathlib.Path,
    loaded: networks.Networks | None,
) -> dict:
    from facedancer.video_swap import options
    from facedancer.video_swap.provenance import labels

    labeller = labels.Labeller(settings.label)
    refiners = ("auto", "network")
    swapper, names = options.make_swapper(settings, path, loaded, refiners)
    labeller.generator = names["generator"]
    photo = photos.pop()  # the only one who holds it: it can be large
    result = swapper.swap_frame(photo.pixels)
    swapped = sum(rule is not None for rule in result.rules)
    if not swapped:
        raise InputError(
            f"{path}: {len(result.faces)} faces were found, none to be swapped. "
            "Nothing was written. Lower --score_threshold, raise --working_size for "
            "small faces in a large photo, turn on --multi_angle for faces that do not "
            "stand upright, or check --map, --only and --except"
        )
    result_photo = dataclasses.replace(photo, pixels=result.image)
    if settings.compare:
        result_photo = _beside(photo, result_photo)
    del photo
    signed = save(result_photo, output, path, labeller)
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
    return report


def _checked_output(
    settings: ImageSettings, path: pathlib.Path, photo: image_colours.Photo
) -> pathlib.Path:
    """Returns where the result goes; what cannot be written there is refused."""
    from facedancer.imaging import images
    from facedancer.video_swap import options

    output = pathlib.Path(settings.output or options.default_output(path, ".png"))
    height, width = photo.pixels.shape[:2]
    width *= 2 if settings.compare else 1
    images.check_writable(output.suffix, (height, width))
    report = settings.report
    places.check_places(settings, {"output": output, "report": report})
    return output


def _beside(
    photo: image_colours.Photo, swapped: image_colours.Photo
) -> image_colours.Photo:
    import numpy as np

    from facedancer.video_swap.clips import clip_stages

    pixels = clip_stages.side_by_side(photo.pixels, swapped.pixels)
    alpha = photo.alpha
    if alpha is not None:
        alpha = np.concatenate([alpha, alpha], axis=1)
    return dataclasses.replace(photo, pixels=pixels, alpha=alpha)


def save(
    photo: image_colours.Photo,
    output: pathlib.Path,
    target: pathlib.Path,
    labeller: labels.Labeller,
) -> str:
    """Writes a marked and signed photo; it appears whole or not at all.

    Args:
        photo: What to write; its pixels may be changed. PNG and WebP keep its alpha
            channel.
        output: The file.
        target: The photo that was changed.
        labeller: Marks and signs.

    Returns:
        What became of the provenance, in words.
    """
    from facedancer.imaging import images

    pixels = photo.pixels if photo.alpha is None else photo.pixels.copy()
    marked = labeller.mark(pixels, 0)
    if photo.alpha is not None:
        marked = _with_alpha(marked, photo, photo.alpha)
    with files.whole(output) as temporary:
        images.write_image(temporary, marked, tagged=photo.tagged)
        return labeller.sign(temporary, target, output)


def _with_alpha(
    marked: np.ndarray, photo: image_colours.Photo, alpha: np.ndarray
) -> np.ndarray:
    """Adds the alpha channel; what a visible label covers is opaque."""
    import numpy as np

    from facedancer.imaging import image_colours

    changed = np.abs(marked.astype(np.int16) - photo.pixels).max(axis=2)
    alpha = np.where(changed > _LABEL, 255, alpha).astype(np.uint8)
    return np.dstack([image_colours.off_white(marked, alpha), alpha])

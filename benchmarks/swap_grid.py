"""A picture of every source's face on every target: what the networks really do.

    python benchmarks/swap_grid.py --sources=a --targets=b --output=grid.png

Sources stand on top, targets at the left. Photos are searched, swapped and pasted as
`facedancer-swap-image` does it, and take all of its flags; then the square around the
target's face is shown. The grid is watermarked and, with an ending that C2PA knows,
signed like any other result.
"""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from facedancer import cli
from facedancer.errors import InputError
from facedancer.flags.settings import ranged, setting
from facedancer.imaging import images
from facedancer.imaging.image_colours import Photo
from facedancer.video_swap import options, photo_swap
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.provenance import labels
from facedancer.video_swap.settings import PeopleSettings, SharedSettings

BORDER = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridSettings(SharedSettings):
    """Settings of the grid; --swap_source is not needed.

    Attributes:
        sources: Folder of photos whose faces are put in.
        targets: Folder of photos they are put on.
        output: The picture.
        side: Side of one face in pixels.
    """

    people: PeopleSettings = PeopleSettings(("each",))
    sources: str = setting(essential=True)
    targets: str = setting(essential=True)
    output: str = setting("grid.png", essential=True)
    side: int = ranged(160, low=1)


def cut(image, faces, side: int) -> np.ndarray:
    """Returns the square around the best face, `(side, side, 3)` uint8.

    Args:
        image: `(height, width, 3)` uint8.
        faces: Where the faces of the image are.
        side: Pixels.

    Raises:
        InputError: If there is no face.
    """
    if not len(faces):
        raise InputError("There is a photo without a face among them")
    x_min, y_min, x_max, y_max = faces.boxes[0]
    half = round(0.75 * max(x_max - x_min, y_max - y_min))
    x, y = round((x_min + x_max) / 2), round((y_min + y_max) / 2)
    image = np.pad(image, ((half, half), (half, half), (0, 0)))
    return images.resize(image[y : y + 2 * half, x : x + 2 * half], side)


def draw(rows) -> np.ndarray:
    """Joins rows of `(side, side, 3)` pictures, with a white border between them."""
    edged = [
        [np.pad(x, ((0, BORDER), (0, BORDER), (0, 0)), constant_values=255) for x in r]
        for r in rows
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in edged])


def column_of(settings: GridSettings, source, targets):
    """Returns the column of one source, the targets' faces and the networks' names.

    Args:
        settings: What the flags say.
        source: Path of the photo.
        targets: Photos, `(height, width, 3)` uint8.
    """
    side = settings.side
    people = dataclasses.replace(settings.people, swap_source=(str(source),))
    given = dataclasses.replace(settings, people=people)
    swapper, names = options.make_swapper(given)
    image = images.read_image(source)
    column = [cut(image, swapper.detect([Rgb(image)])[0], side)]
    results = [swapper.swap_frame(target) for target in targets]
    column += [cut(result.image, result.faces, side) for result in results]
    return column, [result.faces for result in results], names


def main(settings: GridSettings) -> int:
    side = settings.side
    sources = images.list_images(settings.sources)
    paths = images.list_images(settings.targets)
    targets = [images.read_image(path) for path in paths]
    columns = []
    for source in sources:
        column, faces, names = column_of(settings, source, targets)
        columns.append(column)
    shown = [cut(*pair, side) for pair in zip(targets, faces, strict=True)]
    columns.insert(0, [np.full((side, side, 3), 255, np.uint8), *shown])
    labeller = labels.Labeller(settings.label)
    labeller.generator = names["generator"]
    output = pathlib.Path(settings.output)
    rows = zip(*columns, strict=True)
    print(photo_swap.save(Photo(draw(rows)), output, paths[0], labeller))
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, GridSettings)

"""Lists the people of a photo or clip, with a numbered picture of each.

    facedancer faces group.jpg
    facedancer swap -t group.jpg --pick 2=me.jpg --pick 3=anna.jpg -o swapped.png

The numbers are those that `--pick` of the swapping programs takes. In a photo they go
from left to right, in a clip by who is seen most.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing

from facedancer import cli
from facedancer.flags.settings import Checked, positional, ranged, setting
from facedancer.video_swap.settings import NetworkSettings

if typing.TYPE_CHECKING:
    from facedancer.video_swap.clips.people import Person


@dataclasses.dataclass(frozen=True)
class FacesSettings(Checked):
    """What is looked through.

    Attributes:
        path: A photo, a clip, an animation or a folder of pictures.
        output: Picture of all people, .png or .jpg. Empty: results/<name>_people.png.
        json: Print everything as JSON.
        threshold: Cosine from which two faces are one person; 0: the encoder's own.
        networks: Networks, and what runs them.
    """

    path: str = positional("PHOTO_OR_CLIP")
    output: str = setting("", essential=True)
    json: bool = False
    threshold: float = ranged(0.0, low=-1.0, high=1.0)
    networks: NetworkSettings = NetworkSettings()


def main(settings: FacesSettings) -> int:
    """Prints who was found and returns the exit status.

    Args:
        settings: What the flags say.
    """
    # Here, so that --help and a mistyped flag need not wait for the network library.
    from facedancer import places
    from facedancer.imaging import images
    from facedancer.video_swap.clips import people
    from facedancer.video_swap.swapping import networks

    path = pathlib.Path(settings.path)
    output = pathlib.Path(
        settings.output or pathlib.Path("results", f"{path.stem}_people.png")
    )
    images.check_writable(output.suffix, (people.PICTURE, people.PICTURE))
    places.check_places(settings, {"output": output})
    detector, embedder = networks.load_finders(settings.networks)
    found = people.find(path, detector, embedder, settings.threshold)
    images.write_image(output, people.sheet(found))
    if settings.json:
        print(json.dumps([plain(one) for one in found], indent=2))
        return cli.DONE
    print("\n".join(table(found)))
    print(output)
    return cli.DONE


def plain(person: Person) -> dict:
    """Returns what is known of somebody, ready for JSON, without the picture.

    Args:
        person: Who.
    """
    return {
        "number": person.number,
        "frames": person.faces,
        "largest": round(person.side, 1),
        "times": [[round(a, 3), round(b, 3)] for a, b in person.times],
    }


def table(found: list[Person]) -> list[str]:
    """Returns the lines that a terminal shows.

    Args:
        found: The people.
    """
    from facedancer.video_swap.clips import people

    lines = ["number  frames  largest  seen"]
    for one in found:
        when = people.in_words(one, 4) if one.times else ""
        lines.append(f"{one.number:>6}  {one.faces:>6}  {one.side:>4.0f} px  {when}")
    return [line.rstrip() for line in lines]


if __name__ == "__main__":
    cli.run(main, FacesSettings)

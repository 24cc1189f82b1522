"""Measures from which cosine on an encoder takes two photos for one person.

python benchmarks/same_person.py --data_dir=aligned/val --arcface_path=encoder.keras

The folder holds aligned crops, one folder a person; none of these people may have been
trained with. Prints, for several shares of pairs of different people that pass, the
cosine and the share of pairs of one person that pass it too. The row of 1 % belongs
into the table at the head of `video_swap/swapping/identities.py`.
"""

import dataclasses
import pathlib

import cv2
import numpy as np

from facedancer import cli
from facedancer.arcface_model import Embedder, cosine_matrix, load_encoder
from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.storage import weights

_PASS = (0.05, 0.02, 0.01, 0.001)


@dataclasses.dataclass(frozen=True)
class SamePersonSettings:
    """What is measured.

    Attributes:
        data_dir: Folder with a folder of aligned crops for each person.
        arcface_path: Identity encoder, .h5 or .keras; empty: the packaged one.
    """

    data_dir: str = ""
    arcface_path: str = ""


def main(settings: SamePersonSettings) -> int:
    """Prints the table and returns the exit status.

    Args:
        settings: What the flags say.
    """
    encoder = load_encoder(settings.arcface_path or weights.find("encoder"))
    same, different = cosines(encoder, settings.data_dir)
    print(f"{encoder.name_with_hash}, {len(same)} and {len(different)} pairs")
    print("| of different people pass | cosine | of one person pass |\n|---|---|---|")
    for share in _PASS:
        least = np.quantile(different, 1 - share)
        print(f"| {share:.1%} | {least:.3f} | {(same >= least).mean():.1%} |")
    return cli.DONE


def cosines(encoder, folder):
    """Returns the cosines of all pairs of one person, and of all of two.

    Raises:
        InputError: If no person has two crops, or there is one person only.
    """
    size, crops, people = encoder.contract.size, [], []
    for path in images.list_images(folder):
        image = images.read_image(path)
        crops.append(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA))
        people.append(pathlib.Path(path).parent.name)
    vectors = Embedder(encoder).embed(np.stack(crops))
    first, second = np.triu_indices(len(crops), 1)
    alike = cosine_matrix(vectors, vectors)[first, second]
    same = np.array(people)[first] == np.array(people)[second]
    if same.all() or not same.any():
        raise InputError(
            f"{folder}: must hold several people and two crops of one. Received: "
            f"{len(crops)} crops of {len(set(people))} people"
        )
    return alike[same], alike[~same]


if __name__ == "__main__":
    cli.run(main, SamePersonSettings)

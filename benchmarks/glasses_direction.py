"""Measures in which direction glasses move the identity vectors of an encoder.

python benchmarks/glasses_direction.py --data_dir="shards/*_train_*.records"

The shards must say who is on the photos, and hold people with and without glasses; none
of them may be measured on later. Writes the file that belongs into
`facedancer/pretrained/`, and prints the cosine of people's photos with glasses and
without, before and after glasses were taken off, where the direction is that of the
other half of the people.
"""

import dataclasses
import io

import numpy as np

from facedancer import cli
from facedancer.arcface_model import Embedder, load_embedder
from facedancer.dataset.shards import shard_index
from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.models.families.face_parser.loading import load_parser
from facedancer.storage import files
from facedancer.video_swap.swapping import source_glasses

# Fractions of a crop from which glasses are taken as worn, up to which as not.
_WORN, _NOT_WORN = 0.03, 0.001
_BATCH = 64
_PARSED = 96  # side of the crops that are parsed


@dataclasses.dataclass(frozen=True)
class DirectionSettings:
    """What is measured.

    Attributes:
        data_dir: Shards with labels.
        arcface_path: Identity encoder; empty: the packaged one.
        seed: Of the halves of the people.
    """

    data_dir: str = ""
    arcface_path: str = ""
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Photos:
    """What is seen on `n` photos.

    Attributes:
        vectors: `(n, d)`, identity vectors of length 1.
        who: `(n,)`, numbers of the people, -1 where unknown.
        worn: `(n,)` bool, whether glasses are surely worn.
        bare: `(n,)` bool, whether surely none are.
    """

    vectors: np.ndarray
    who: np.ndarray
    worn: np.ndarray
    bare: np.ndarray

    def of(self, person: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the vectors of a person with glasses, and of those without."""
        theirs = self.who == person
        return self.vectors[self.worn & theirs], self.vectors[self.bare & theirs]

    def glasses(self, people) -> source_glasses.GlassesOff:
        """Returns what takes glasses off, as these people show it."""
        moves = [worn.mean(0) - bare.mean(0) for worn, bare in map(self.of, people)]
        direction = np.mean(moves, axis=0)
        direction /= np.linalg.norm(direction)
        level, worn = (
            float((self.vectors[those] @ direction).mean())
            for those in (self.bare, self.worn)
        )
        return source_glasses.GlassesOff(load_parser(), direction, level, worn)


def main(settings: DirectionSettings) -> int:
    """Writes the file, prints the cosines and returns the exit status.

    Args:
        settings: What the flags say.
    """
    embedder = load_embedder(settings.arcface_path)
    photos = look(embedder, shard_index.open_index(settings.data_dir))
    both = sorted({*photos.who[photos.worn]} & {*photos.who[photos.bare]} - {-1})
    if len(both) < 2:
        raise InputError(
            f"{settings.data_dir}: must show people with and without glasses. "
            f"Received: {len(both)} of them"
        )
    counts = photos.worn.sum(), photos.bare.sum(), len(both)
    print("{} photos with glasses, {} without, {} people with both".format(*counts))
    people = np.random.default_rng(settings.seed).permutation(both)
    for some, others in ((people[::2], people[1::2]), (people[1::2], people[::2])):
        off = photos.glasses(some)
        pairs = [photos.of(person) for person in others]
        before = np.mean([(worn @ bare.T).mean() for worn, bare in pairs])
        after = np.mean([(off.without(worn) @ bare.T).mean() for worn, bare in pairs])
        print(f"cosine of with and without {before:.4f}, glasses taken off {after:.4f}")
    found, content = photos.glasses(people), io.BytesIO()
    numbers = {name: getattr(found, name) for name in ("direction", "level", "worn")}
    np.savez(content, **numbers)
    name = source_glasses.file_name(embedder.encoder.name_with_hash)
    files.write_atomic(name, content.getvalue())
    print(name)
    return cli.DONE


def look(embedder: Embedder, index: shard_index.ShardIndex) -> Photos:
    """Returns what an encoder and the packaged parser see on the photos of shards."""
    parser, size = load_parser(), embedder.encoder.contract.size
    vectors, fractions = [], []
    for first in range(0, len(index), _BATCH):
        numbers = range(first, min(first + _BATCH, len(index)))
        crops = [index.image(number, _PARSED) for number in numbers]
        vectors.append(
            embedder.embed(np.stack([images.resize(c, size) for c in crops]))
        )
        fractions.append(source_glasses.fractions(parser, np.stack(crops)))
    found, glasses = np.concatenate(vectors), np.concatenate(fractions)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    who = np.asarray(index.identity)
    return Photos(found, who, glasses > _WORN, glasses < _NOT_WORN)


if __name__ == "__main__":
    cli.run(main, DirectionSettings)

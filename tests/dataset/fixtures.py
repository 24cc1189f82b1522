"""Small photos, a detector that needs no weights, shards in upstream's form."""

import pathlib

import numpy as np

from facedancer.dataset import dataset_sharding
from facedancer.dataset.shards import records
from facedancer.imaging import images
from tests import testing
from tests.dataset.detectors import MARK


def photo(seed=0, size=(150, 200), boxes=((60, 40, 50, 60),), background=None):
    """Returns noise with boxes `x, y, width, height` that the detector finds."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 120, (*size, 3), dtype=np.uint8)
    if background is not None:
        image[:] = background
    for x, y, width, height in boxes:
        image[y : y + height, x : x + width] = MARK
    return image


def write_photos(folder, counts, **options):
    """Writes `counts[name]` photos for each name; returns the relative paths."""
    paths = []
    for name, count in counts.items():
        for number in range(count):
            path = pathlib.PurePosixPath(name, f"{number:03d}.jpg")
            seed = len(paths)
            images.write_image(pathlib.Path(folder, path), photo(seed, **options))
            paths.append(str(path))
    return paths


def coded(value, size=(16, 16)):
    """Returns a PNG whose colour tells which photo it is: red is `value`."""
    image = np.zeros((*size, 3), np.uint8)
    image[..., 0] = value
    image[: size[0] // 2, : size[1] // 2, 1] = 200  # so that mirroring shows
    return images.encode_image(image, ".png")


def write_shard(path, labels, with_labels=True, size=(16, 16), first=0):
    """Writes photos `first`, `first + 1`, ... with the given identities."""
    examples = []
    for row, label in enumerate(labels):
        features = {"face": coded(first + row, size)}
        if with_labels:
            features |= {
                "identity": label,
                "path": f"set{label % 2}/p{label}/{row}.png",
            }
        examples.append(records.encode_example(features))
    records.write_records(path, examples)


SIZE = {"size": (24, 32), "boxes": ()}


class ShardingTestCase(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.data = self.tempdir() / "photos"
        self.target = self.tempdir() / "shards"

    def settings(self, **options):
        options = {"data_name": "set", "num_shards": 4} | options
        return dataset_sharding.ShardSettings(
            str(self.target), str(self.data), **options
        )

    def write(self, **options):
        return dataset_sharding.write_sets(self.settings(**options))

    def shards(self, name="set_train"):
        return sorted(self.target.glob(f"{name}_*.records"))

    def content(self):
        return {p.name: p.read_bytes() for p in self.target.iterdir()}

    def paths(self, name="set_train"):
        """What TensorFlow finds in the shards."""
        import tensorflow as tf

        found = []
        for shard in self.shards(name):
            part = []
            for record in tf.data.TFRecordDataset(str(shard)):
                example = tf.train.Example.FromString(record.numpy())
                part.append(example.features.feature["path"].bytes_list.value[0])
            found.append([path.decode() for path in part])
        return found

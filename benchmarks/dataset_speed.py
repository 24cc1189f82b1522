"""Speed of aligning, sharding and reading against the plain way, in one run.

    python benchmarks/dataset_speed.py --what=reading,sharding,aligning,memory

The plain way is one process, one image after the other, a serial map: for reading the
input pipeline of the original FaceDancer as its documentation describes it (two
streams over the same files, interleave, shuffle buffer of 1000, decode, resize,
scale), once as written and once as newer versions of TensorFlow rewrite it. Turns
alternate, the medians of the ratios to the plain way are printed: of the time on the
clock, and of images per second of one core (CPU time of all threads and processes),
which a busy machine changes less. Without `--photos` pictures are made.
"""

import dataclasses
import multiprocessing
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent import futures

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from facedancer import cli
from facedancer.imaging import images

BATCH, SIZE = 16, 256


@dataclasses.dataclass(frozen=True)
class SpeedSettings:
    """What is measured.

    Attributes:
        what: Any of reading, sharding, aligning, memory.
        photos: Folder with photos for aligning; empty: made faces.
        crops: Number of generated crops for sharding and reading.
        num_photos: Number of photos that are aligned.
        turns: Repetitions of both sides.
        workers: Processes of our side in sharding and aligning.
        child: Used by the program itself: what a process whose memory is measured does.
    """

    what: tuple[str, ...] = ("reading", "sharding", "aligning", "memory")
    photos: str = ""
    crops: int = 2000
    num_photos: int = 64
    turns: int = 5
    workers: int = 2
    child: str = ""


def main(settings: SpeedSettings) -> int:
    """Measures and prints."""
    if settings.child:
        return run_child(*settings.child.split(":"))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        crops = write_crops(folder / "crops", settings.crops)
        for what in settings.what:
            measure = {
                "reading": measure_reading,
                "sharding": measure_sharding,
                "aligning": measure_aligning,
                "memory": measure_memory,
            }[what]
            measure(settings, folder, crops)
    return 0


def write_crops(folder, count):
    """Writes smooth pictures with a little grain, JPEG 95 of about 45 kB."""
    random = np.random.default_rng(0)
    for number in range(count):
        small = random.uniform(0, 255, (12, 12, 3)).astype(np.float32)
        image = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        image += random.normal(0, 4, image.shape)
        image = image.clip(0, 255).astype(np.uint8)
        images.write_image(folder / f"p{number % 97:03d}/{number:06d}.jpg", image)
    return folder


def cpu_seconds():
    """Returns the CPU time of this process and of its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def alternate(turns, name, unit_count, sides):
    """Runs the sides in turns; prints images per second and the ratios to the first."""
    clock = {side: [] for side in sides}
    cpu = {side: [] for side in sides}
    for turn in range(turns):
        for side, action in sides.items():
            start, start_cpu = time.perf_counter(), cpu_seconds()
            times = action(turn)  # its own, if it worked in another process
            own = time.perf_counter() - start, cpu_seconds() - start_cpu
            clock[side].append((times or own)[0])
            cpu[side].append((times or own)[1])
    plain = next(iter(sides))
    for side in sides:
        print(
            f"{name:9} {side:28} "
            f"{rate(unit_count, clock[side], clock[plain])} on the clock, "
            f"{rate(unit_count, cpu[side], cpu[plain])} a core",
            flush=True,
        )


def rate(unit_count, times, plain_times):
    """Returns images per second and the ratio to the plain way, as text."""
    ratios = [p / t for p, t in zip(plain_times, times, strict=True)]
    per_second = unit_count / statistics.median(times)
    return f"{per_second:7.0f}/s x{statistics.median(ratios):.2f}"


def write_shards(crops, target, num_shards=16, workers=1):
    """Writes the shards with the program's own functions."""
    from facedancer.dataset import dataset_sharding

    settings = dataset_sharding.ShardSettings(
        str(target), str(crops), "set", num_shards=num_shards, num_workers=workers
    )
    dataset_sharding.write_sets(settings)


def timed_shards(crops, target, workers=1):
    """Returns the seconds on the clock and of CPU time that `write_shards` takes."""
    start, start_cpu = time.perf_counter(), cpu_seconds()
    write_shards(crops, target, workers=workers)
    return time.perf_counter() - start, cpu_seconds() - start_cpu


def measure_reading(settings, folder, crops):
    """Batches of pairs, no augmentation, against the original's pipeline."""
    from facedancer.dataset.reading import pairs

    shards = folder / "read_shards"
    write_shards(crops, shards)
    count = max(8, settings.crops // BATCH)

    def iterate(dataset):
        for _ in dataset.take(count):
            pass

    def ours(jitter="none", **options):
        made = pairs.PairSettings(
            str(shards), BATCH, SIZE, jitter=jitter, same_ratio=0, **options
        )
        # each turn reads anew: nothing of another turn is in its memory
        fresh = [pairs.make_dataset(made, turn * count) for turn in range(turns)]
        return lambda turn: iterate(fresh.pop(0))

    turns = settings.turns
    parallel = plain_dataset(str(shards / "*.records"))
    plain = parallel.with_options(serial_options())
    sides = {
        "plain (original's pipeline)": lambda turn: iterate(plain),
        "plain, parallel by TF itself": lambda turn: iterate(parallel),
        "ours": ours(),
        "ours, with jitter": ours("per_image"),
        "ours, sources from anywhere": ours(window=0, cache_mb=0),
        "ours, sources from the batch": ours(pairing="batch"),
    }
    alternate(settings.turns, "reading", count * BATCH * 2, sides)


def plain_dataset(pattern):
    """Two streams, serial map, `decode_png`, always resized."""
    import tensorflow as tf

    def parse(record):
        features = {"face": tf.io.FixedLenFeature([], tf.string)}
        face = tf.io.parse_single_example(record, features)["face"]
        image = tf.image.decode_png(face, channels=3)
        image = tf.image.resize(image, (SIZE, SIZE))
        return (image - 127.5) / 127.5

    def stream(seed):
        files = tf.data.Dataset.list_files(pattern, shuffle=True, seed=seed)
        dataset = files.interleave(tf.data.TFRecordDataset).repeat()
        return dataset.shuffle(1000, seed).map(parse).batch(BATCH, drop_remainder=True)

    return tf.data.Dataset.zip((stream(1), stream(2)))


def serial_options():
    """Keeps TensorFlow from making serial maps parallel by itself."""
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return options


def measure_sharding(settings, folder, crops):
    """Shards against one `TFRecordWriter` after the other, and against copying."""
    import tensorflow as tf

    paths = sorted(crops.rglob("*.jpg"))

    def plain(turn):
        for shard in range(16):
            name = str(folder / f"plain{turn}_{shard}.records")
            with tf.io.TFRecordWriter(name) as writer:
                for path in paths[shard::16]:
                    example = tf.train.Example()
                    face = example.features.feature["face"].bytes_list
                    face.value.append(path.read_bytes())
                    writer.write(example.SerializeToString())

    def copy(turn):
        with open(folder / f"copy{turn}", "wb") as target:
            for path in paths:
                target.write(path.read_bytes())
            os.fsync(target.fileno())

    # ours in a process without TensorFlow, as the program runs
    with futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), write_shards, (crops, folder / "warm")
    ) as pool:

        def ours(name, workers=1):
            return lambda turn: pool.submit(
                timed_shards, crops, folder / f"{name}{turn}", workers
            ).result()

        sides = {
            "plain (only `face`)": plain,
            "copy of the bytes": copy,
            "ours, 1 process": ours("one"),
            f"ours, {settings.workers} processes": ours("many", settings.workers),
        }
        alternate(settings.turns, "sharding", len(paths), sides)


def measure_aligning(settings, folder, crops):
    """Detection and crops against one photo at a time; loading is not counted."""
    from facedancer import retinaface
    from facedancer.dataset import make_faces
    from facedancer.dataset.photos import aligning, listing
    from facedancer.face import alignment

    source = settings.photos or str(folder / "made")
    if not settings.photos:
        made = make_faces.MadeSettings(source, max(1, settings.num_photos // 4), 4)
        make_faces.write_faces(made)
    paths = listing.list_photos(source)[: settings.num_photos]
    detector = retinaface.load_detector()

    def plain(turn):
        for path in paths:
            image = images.read_image(os.path.join(source, path))
            faces = detector.detect(image)
            if len(faces):
                matrix = alignment.crop_matrix(faces.landmarks[0], SIZE)
                crop = alignment.crop(image, matrix, SIZE)
                images.write_image(folder / f"plain_crops{turn}" / path, crop)

    def ours(turn):
        target = str(folder / f"crops{turn}")
        made = aligning.AlignSettings(source, target, min_size=64)
        tasks = list(listing.output_stems(paths))
        for at in range(0, len(tasks), 16):
            aligning.align_photos(tasks[at : at + 16], made, detector)

    plain(-1), ours(-1)  # the first calls trace graphs
    sides = {"plain (one photo at a time)": plain, "ours, 1 process": ours}
    alternate(settings.turns, "aligning", len(paths), sides)


def measure_memory(settings, folder, crops):
    """Peak memory of sharding and of reading, for a small and a tenfold set."""
    counts = (settings.crops // 10, settings.crops)
    for count in counts:
        part = folder / f"part{count}"
        for number, path in enumerate(sorted(crops.rglob("*.jpg"))[:count]):
            link = part / path.parent.name / f"{number}.jpg"
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, link)
        for what in ("sharding", "reading"):
            child = f"{what}:{part}:{folder / f'memory{count}'}"
            done = subprocess.run(
                [sys.executable, __file__, f"--child={child}"],
                capture_output=True,
                text=True,
                check=True,
            )
            print(
                f"memory     {what:10} {count:7} images: {done.stdout.strip()} MB peak"
            )


def run_child(what, crops, target):
    """Does one thing in a fresh process and prints its peak memory."""
    if what == "sharding":
        write_shards(crops, target)
    else:
        from facedancer.dataset.reading import pairs

        made = pairs.PairSettings(target, BATCH, SIZE)
        for _ in pairs.make_dataset(made).take(100):
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    return 0


if __name__ == "__main__":
    cli.run(main, SpeedSettings)

"""The whole chain on real photos: align, shard, train, resume, export, swap a clip."""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys

import av
import keras
import numpy as np
import pytest

from facedancer import arcface_model
from facedancer.models import load_generator
from tests import testing

ROOT = pathlib.Path(__file__).parents[1]
PHOTOS, STEPS, SECONDS = 240, 300, 3


def run(program, *flags, cwd=None):
    """Runs a program of the checkout as the README does."""
    done = subprocess.run(
        [sys.executable, ROOT / program, *flags],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == 0, f"{program}: {done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A folder in which the chain has run up to the exported generator."""
    folder = tmp_path_factory.mktemp("chain")
    people = sorted(testing.shared("faces", "lfw").iterdir())
    photos = [photo for person in people for photo in sorted(person.glob("*.jpg"))]
    for photo in photos[:PHOTOS]:
        copy = folder / "photos" / photo.parent.name / photo.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, copy)
    keras.utils.set_random_seed(0)
    # A random encoder: the chain is tested here, not the quality of the swap.
    arcface_model.build_mobilefacenet(32, width=0.25).save(folder / "encoder.keras")
    run(
        "dataset/crop_align.py",
        f"--data_dir={folder / 'photos'}",
        f"--target_dir={folder / 'aligned'}",
        "--im_size=112",
        "--min_size=64",
    )
    run(
        "dataset/dataset_sharding.py",
        f"--data_dir={folder / 'aligned'}",
        f"--target_dir={folder / 'shards'}",
        "--data_name=lfw",
        "--num_shards=4",
    )
    return folder


def train(folder, *flags):
    return run(
        "train/train.py",
        f"--data_dir={folder / 'shards' / 'lfw_train*.records'}",
        f"--arcface_path={folder / 'encoder.keras'}",
        f"--log_dir={folder / 'runs'}",
        "--log_name=chain",
        "--preset=facedancer_lite_64",
        "--perceptual=encoder",
        "--batch_size=4",
        "--log_every=10",
        "--sample_every=1000",
        f"--save_every={STEPS // 2}",
        *flags,
        cwd=folder,
    )


def metrics(folder):
    path = folder / "runs" / "chain" / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def decoded(path):
    """Frames, their times and a digest of the sound's packets."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        times = [float(f.pts * f.time_base) for f in frames]
        pictures = np.stack([f.to_ndarray(format="rgb24") for f in frames])
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.audio[0]):
            digest.update(bytes(packet))
    return pictures, np.array(times) - times[0], digest.hexdigest()


@pytest.mark.large
@pytest.mark.timeout(3000)
def test_chain(chain):
    aligned = list((chain / "aligned").rglob("*.jpg"))
    assert len(aligned) >= 0.95 * PHOTOS

    train(chain, f"--steps={STEPS // 2}")
    half = metrics(chain)[-1]["step"]
    train(chain, f"--steps={STEPS}")  # resumes
    values = [entry for entry in metrics(chain) if "reconstruction" in entry]
    assert half == STEPS // 2 and values[-1]["step"] == STEPS
    assert [v["step"] for v in values] == sorted({v["step"] for v in values})
    early = np.mean([v["reconstruction"] for v in values[:5]])
    late = np.mean([v["reconstruction"] for v in values[-5:]])
    assert late < 0.7 * early

    train(chain, "--load=latest", "--export", "True")
    (exported,) = (chain / "exports" / "chain").glob("*.h5")
    assert load_generator(exported).config.image_size == 64
    swap_clip(chain, exported)


def swap_clip(folder, generator):
    """A swapped clip has the input's frames, times and sound, and another face."""
    clip = testing.shared("faces", "video", "fsgan_abe_720p.mp4")
    short, swapped = folder / "short.mp4", folder / "swapped.mp4"
    copy_start(clip, short)
    run(
        "video_swap/multi_face_single_source.py",
        f"--vid_path={short}",
        f"--swap_source={next((folder / 'photos').rglob('*.jpg'))}",
        f"--facedancer_path={generator}",
        f"--arcface_path={folder / 'encoder.keras'}",
        f"--output={swapped}",
    )
    before, times, sound = decoded(short)
    after, new_times, new_sound = decoded(swapped)
    assert before.shape == after.shape
    np.testing.assert_allclose(times, new_times, atol=1e-3)
    assert sound == new_sound
    change = np.abs(before.astype(int) - after).mean(axis=(0, 3))
    changed = change > 8
    assert 0.005 < changed.mean() < 0.25  # a face, not the picture
    assert np.median(change) < 5.0  # coding and the invisible watermark
    assert change[changed].mean() > 4 * np.median(change)


def copy_start(clip, path):
    """Copies the packets of the first seconds."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        streams = {
            stream.index: target.add_stream_from_template(stream)
            for stream in (source.streams.video[0], source.streams.audio[0])
        }
        for packet in source.demux(*(source.streams[i] for i in streams)):
            if packet.dts is None or packet.pts * packet.time_base > SECONDS:
                continue
            packet.stream = streams[packet.stream.index]
            target.mux(packet)

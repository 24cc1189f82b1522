"""Systems of certain people, and those fed masks: from photos to a swapped clip.

By the commands of the docs, each in a process of its own, on the two portraits in the
package.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from facedancer.imaging import images, sample_photos
from facedancer.models import load_generator
from tests.video_swap import made

PEOPLE = ("collins", "hopper")
SMALL = ("--structure=widths=[4,4,8,8]", "--structure=spade_width=4")
# What is trained small, what it is fed, and who is put on the clip.
SYSTEMS = {
    "conditional_gan": (
        (
            "--preset=conditional_gan_lite_64",
            "--structure=encoder_width=4",
            "--structure=decoder_width=2",
        ),
        ("target", "label"),
        ("--label", "hopper"),
    ),
    "swap_them_all": (
        ("--preset=swap_them_all_lite_64", *SMALL),
        ("masked_target", "semantic_mask", "reference", "identity"),
        ("-s", "photos/hopper/0.png"),
    ),
    "swap_them_all_v2": (
        ("--preset=swap_them_all_v2_lite_64", "--structure=use_nwg=true", *SMALL),
        ("target", "semantic_mask", "reference", "identity"),
        ("-s", "photos/hopper/0.png"),
    ),
}


def facedancer(folder, *words, code=0):
    """Runs a command of the checkout; returns what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "facedancer", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == code, f"{words}: {done.stderr[-3000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Shards of two people with four photos each, and a clip of one of them."""
    folder = tmp_path_factory.mktemp("people")
    for name in PEOPLE:
        photo = sample_photos.read(name).astype(float)
        views = (photo, photo[:, ::-1], photo * 0.8, photo * 0.8 + 40)
        for number, view in enumerate(views):
            path = folder / "photos" / name / f"{number}.png"
            images.write_image(path, view.clip(0, 255).astype(np.uint8))
    portrait = sample_photos.read("collins")
    frames = [portrait[:320, 70 + 4 * k : 390 + 4 * k] for k in range(4)]
    made.write_clip(folder / "clip.mp4", frames)
    flags = ("--im_size", 80, "--min_size", 64, "--shrink_factor", 0.9)
    facedancer(folder, "align", "--data_dir=photos", "--target_dir=aligned", *flags)
    flags = ("--data_name=duo", "--num_shards=1")
    facedancer(folder, "shard", "--data_dir=aligned", "--target_dir=shards", *flags)
    return folder


def train(folder, name, *flags):
    words = ("train", f"--system={name}", f"--log_name={name}", "--batch_size=2")
    data = "--data_dir=shards/duo_train*.records"
    return facedancer(folder, *words, data, *SYSTEMS[name][0], *flags)


@pytest.mark.large  # three minutes each
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", SYSTEMS)
def test_from_photos_to_a_clip(folder, name):
    _, inputs, whom = SYSTEMS[name]
    train(folder, name, "--steps=2", "--log_every=1")
    train(folder, name, "--steps=3", "--log_every=1")  # resumes
    lines = (folder / "logs" / "runs" / name / "metrics.jsonl").read_text().splitlines()
    steps = [one["step"] for one in map(json.loads, lines) if "g_loss" in one]
    assert steps == [1, 2, 3]
    train(folder, name, "--load=latest", "--export")
    exported = folder / "exports" / name / "facedancer_latest.keras"
    assert load_generator(exported).contract.inputs == inputs
    told = ("--facedancer_path", exported)
    facedancer(folder, "swap", *whom, "-t", "clip.mp4", "-o", f"{name}.mp4", *told)
    before, after = (
        [frame.image.astype(int) for frame in made.read(folder / file)[1]]
        for file in ("clip.mp4", f"{name}.mp4")
    )
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        apart = np.abs(one - other).mean(axis=2)
        assert apart[80:220, 100:200].mean() > 3  # the face
        assert apart[:, :20].mean() < 3
    photo = ("-t", "photos/collins/1.png", "-o", f"{name}.png")
    facedancer(folder, "swap", *whom, *photo, *told)
    known = ("--known_dir=photos",) if name == "conditional_gan" else ()
    flags = ("--data_dir=photos", f"--out=report_{name}", "--pairs=2", *known)
    facedancer(folder, "evaluate", *told, *flags)
    report = json.loads((folder / f"report_{name}" / "report.json").read_text())
    assert report


@pytest.mark.large
@pytest.mark.timeout(3000)
def test_mistakes_are_told_in_a_line(folder):
    """Another system's file, an unknown person, a photo without a face."""
    name = "conditional_gan"
    if not (folder / "exports" / name).is_dir():
        train(folder, name, "--steps=1")
        train(folder, name, "--load=latest", "--export")
    told = ("--facedancer_path", folder / "exports" / name / "facedancer_latest.keras")
    swap = ("swap", "-t", "clip.mp4", "-o", "x.mp4", *told)
    said = facedancer(folder, *swap, "--label", "hoper", code=1)
    assert "a name: collins, hopper. Received: hoper" in said
    said = facedancer(folder, *swap, "-s", "photos/hopper/0.png", code=1)
    assert said.count("Error") == 1
    flags = (f"--init_generator={told[1]}", "--system=swap_them_all", "--steps=1")
    data = "--data_dir=shards/duo_train*.records"
    said = facedancer(folder, "train", data, *flags, "--log_name=other", code=1)
    assert "a network of conditional GAN; --system=swap_them_all fine-tunes" in said
    assert not (folder / "x.mp4").exists()

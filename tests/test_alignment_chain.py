"""Template and shrink of the crops go through the whole chain, programs and all."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from facedancer import arcface_model, cli
from facedancer.dataset import dataset_sharding, folder_alignment, outliers
from facedancer.dataset.jobs import report
from facedancer.dataset.photos import aligning
from facedancer.dataset.reading import pair_reader
from facedancer.dataset.shards import manifest, shard_index
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.face.alignment import Alignment
from facedancer.imaging import images
from facedancer.models import build_generator, load_generator
from facedancer.networks.contract import InputContract
from facedancer.train import (
    calibrate_margins,
    loading,
    train,
)
from facedancer.train.config import TrainConfig
from facedancer.train.distillation import distilling
from facedancer.train.distillation.settings import DistillSettings
from facedancer.train.objective import losses
from facedancer.train.systems.base import Fed
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.swapping import identities, swapper
from tests.dataset import detectors, fixtures
from tests.train import tiny

SIZE, SHRUNK = 16, Alignment("arcface", 0.8)
SMALL = (
    "--preset=facedancer_lite_64",
    f"--image_size={SIZE}",
    "--up_types=no_skip,affa,concat",
    "--mapping_depth=1",
    "--mapping_size=8",
    "--perceptual=none",
    "--ifsr_lambda=0",
    "--a_lambda=0",
    "--c_lambda=0",
    "--batch_size=2",
    "--steps=1",
    "--log_name=shrunk",
)


def align(photos, folder, **options):
    settings = aligning.AlignSettings(
        str(photos), str(folder), im_size=SIZE, contact_sheet=False, **options
    )
    counts = folder_alignment.align_folder(settings, detectors.BoxDetector())
    assert counts["done"] == 4
    return folder


def pack(crops, folder):
    settings = dataset_sharding.ShardSettings(
        str(folder), str(crops), num_shards=2, shuffle=False
    )
    (written,), broken = (
        part.values() if isinstance(part, dict) else part
        for part in dataset_sharding.write_sets(settings)
    )
    assert broken == []
    return written


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Photos aligned with shrink 0.8, 1 and to another template, and their shards."""
    folder = tmp_path_factory.mktemp("shrunk")
    fixtures.write_photos(folder / "photos", {"ann": 2, "bob": 2})
    for name, options in (
        ("shrunk", {"shrink_factor": 0.8}),
        ("whole", {}),
        ("ffhq", {"template": "ffhq"}),
    ):
        align(folder / "photos", folder / name, **options)
        pack(folder / name, folder / f"{name}_shards")
    tiny.write_encoder(folder)
    tiny.eagerly(True)
    yield folder
    tiny.eagerly(False)


def settings(chain, shards="shrunk_shards", *more):
    found = (
        *SMALL,
        f"--data_dir={chain / shards}",
        f"--arcface_path={chain / 'encoder.keras'}",
        f"--log_dir={chain / 'runs'}",
        *more,
    )
    return cli.parse(TrainConfig, list(found))


@pytest.mark.slow
def test_from_crops_to_the_swapper(chain, monkeypatch):
    monkeypatch.chdir(chain)
    assert report.alignment_of(chain / "shrunk") == SHRUNK
    assert outliers.alignment_shrink(str(chain / "shrunk")) == 0.8
    assert shard_index.alignment_of(str(chain / "shrunk_shards")) == SHRUNK
    reader = pair_reader.PairReader(
        pair_reader.PairSettings(str(chain / "shrunk_shards"), 2, SIZE)
    )
    assert reader.index.alignment == SHRUNK
    assert train.main(settings(chain)) == 0
    export = settings(chain, "shrunk_shards", "--load=latest", "--export=True")
    assert train.main(export) == 0
    for ending in ("keras", "h5"):
        (path,) = pathlib.Path("exports/shrunk").glob(f"*.{ending}")
        assert load_generator(path).contract.image.alignment == SHRUNK
    swap_is_cut_like_the_crops(chain, path)


def swap_is_cut_like_the_crops(chain, path):
    """What the generator is fed in a swap is what it was trained on."""
    photo = images.read_image(next((chain / "photos" / "ann").iterdir()))
    trained = images.read_image(next((chain / "shrunk" / "ann").iterdir()))
    contract = load_generator(path).contract
    (faces,) = detectors.BoxDetector().detect_batch([photo])
    assert len(faces) == 1
    encoder = arcface_model.load_encoder(chain / "encoder.keras")
    vector = np.ones(8, np.float32)
    made = swapper.FaceSwapper(
        None,
        contract,
        detectors.BoxDetector(),
        arcface_model.Embedder(encoder),
        [identities.Rule("x", None, vector)],
    )
    (crop,) = made.cut([Rgb(photo)], [[swapper.FaceJob(faces.landmarks[0], 0)]])
    assert np.abs(crop.image.astype(int) - trained).mean() < 6  # JPEG
    whole = alignment.crop_matrix(faces.landmarks[0], SIZE)
    area = np.linalg.det(crop.matrix[:, :2]) / np.linalg.det(whole[:, :2])
    assert area == pytest.approx(0.8**2)


@pytest.mark.parametrize(
    "shards, more, message",
    [
        ("shrunk_shards", ["--shrink_factor=1"], "than --shrink_factor says"),
        ("shrunk_shards", ["--eval_dir=whole_shards"], "those to train on are"),
        ("ffhq_shards", [], "identity encoders need it.*--template=arcface"),
        ("shrunk_shards/*,whole_shards/*", [], "its crops are aligned in another way"),
    ],
)
def test_refused_where_two_differ(chain, monkeypatch, shards, more, message):
    monkeypatch.chdir(chain)
    values = settings(chain, shards, f"--data_dir={shards}", *more)
    with pytest.raises(InputError, match=message):
        loading.load_networks(values)


@pytest.mark.slow
def test_fine_tuning_and_calibration_want_the_generator_s_crops(chain):
    fed = Fed(8, "", SHRUNK.template, SHRUNK.shrink)
    config = loading.structures_of(settings(chain), fed)["generator"]
    path = chain / "generator.keras"
    build_generator(config).save(path)
    values = settings(chain, "whole_shards", f"--init_generator={path}")
    with pytest.raises(InputError, match="generator of --init_generator needs it"):
        loading.load_networks(values)
    fitting = settings(chain, "shrunk_shards", f"--init_generator={path}")
    assert loading.load_networks(fitting).contract.image.shrink == 0.8
    flags = [
        f"--arcface_path={chain / 'encoder.keras'}",
        f"--facedancer_path={path}",
        f"--data_dir={chain / 'whole_shards'}",
        "--blocks=stage2_block1_out",
    ]
    calibration = cli.parse(calibrate_margins.CalibrationConfig, flags)
    with pytest.raises(InputError, match="the generator needs it"):
        calibrate_margins.main(calibration)


def test_encoders_are_distilled_from_whole_crops_only(chain):
    values = DistillSettings(
        teacher=str(chain / "encoder.keras"),
        data_dir=str(chain / "shrunk"),
        output=str(chain / "student.keras"),
    )
    with pytest.raises(InputError, match="identity encoders need it"):
        distilling.distill(values)


def test_shards_that_do_not_say_it(chain, tmp_path):
    """Those of the original program, or of an older version of this one."""
    folder = tmp_path / "old"
    shutil.copytree(chain / "shrunk_shards", folder)
    content = manifest.read(folder, "faces_train")
    assert content["alignment"] == {"template": "arcface", "shrink": 0.8}
    del content["alignment"]
    manifest.write(folder, "faces_train", content)
    assert shard_index.alignment_of(str(folder)) is None
    told = settings(chain, "x", f"--data_dir={folder}", "--shrink_factor=0.8")
    assert loading.crop_alignment(told) == SHRUNK
    untold = settings(chain, "x", f"--data_dir={folder}")
    assert loading.crop_alignment(untold) == Alignment()
    pack(chain / "shrunk", folder)  # started again, the program completes the manifest
    assert shard_index.alignment_of(str(folder)) == SHRUNK


def test_a_manifest_that_says_otherwise(chain, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(chain / "shrunk_shards", folder)
    content = manifest.read(folder, "faces_train")
    manifest.write(folder, "faces_train", content | {"alignment": {"shrink": 0.5}})
    with pytest.raises(InputError, match="faces_train: its crops .* the photos are"):
        pack(chain / "shrunk", folder)
    manifest.write(folder, "faces_train", content | {"alignment": {"template": "eyes"}})
    with pytest.raises(InputError, match="one of arcface, ffhq"):
        shard_index.alignment_of(str(folder))


def test_settings_nobody_can_read(tmp_path):
    assert report.alignment_of(tmp_path) is None
    path = tmp_path / report.SUMMARY
    path.write_text("[]")
    assert report.alignment_of(tmp_path) is None
    path.write_text(json.dumps({"settings": {"shrink_factor": "much"}}))
    with pytest.raises(InputError, match="its shrink_factor: could not convert"):
        report.alignment_of(tmp_path)
    with pytest.raises(ValueError, match="`template` must be one of"):
        InputContract(16, "signed", "eyes")


def test_the_outside_of_a_shrunken_face():
    """The ellipse of the face shrinks with it: the middle 80 % are the whole crop."""
    whole = np.asarray(losses.face_ellipse(64, 64))[0, ..., 0]
    shrunk = np.asarray(losses.face_ellipse(80, 80, 0.8))[0, ..., 0]
    np.testing.assert_allclose(shrunk[8:72, 8:72], whole, atol=1e-5)
    assert (shrunk[:4] == 1).all()

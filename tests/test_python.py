"""Tests of `facedancer.detect`, `align`, `embed` and `evaluate`: as the programs do."""

import logging

import numpy as np
import pytest

import facedancer
from facedancer import cli
from facedancer.arcface_model import cosine_matrix
from facedancer.dataset import crop_align
from facedancer.dataset.photos import aligning
from facedancer.errors import InputError
from facedancer.evaluation.report import document
from facedancer.imaging import images, sample_photos
from facedancer.retinaface import load_detector


@pytest.fixture(scope="module")
def me():
    return sample_photos.read("hopper")[:400]


@pytest.fixture(scope="module")
def anna():
    return sample_photos.read("collins")[:400]


@pytest.fixture(scope="module")
def both(me, anna):
    return np.concatenate([anna, me[:, :400]], axis=1)


def test_detect(me, both, tmp_path):
    faces = facedancer.detect(both)
    assert len(faces) == 2 and (np.diff(faces.scores) <= 0).all()
    path = images.write_image(tmp_path / "me.png", me)
    one, two = facedancer.detect([path, both])
    assert len(one) == 1 and len(two) == 2
    np.testing.assert_array_equal(two.boxes, faces.boxes)
    assert len(facedancer.detect(both, score_threshold=1.0)) == 0
    assert len(facedancer.detect(both, load_detector(min_face=1000))) == 0


def test_align_gives_what_the_program_writes(me, anna, both, tmp_path):
    for name, photo in (("me", me), ("both", both)):
        images.write_image(tmp_path / "in" / f"{name}.png", photo)
    images.write_image(tmp_path / "in" / "small.png", me[:90, :100])
    images.write_image(tmp_path / "in" / "grey.png", np.full((200, 300, 3), 90, "u1"))
    how = {"im_size": 48, "shrink_factor": 0.8, "faces": "all", "image_format": "png"}
    folder = facedancer.align(tmp_path / "in", tmp_path / "out", **how)
    names = [path.name for path in folder.crops]
    assert names == ["both.png", "both.face1.png", "me.png"]
    assert folder.dropped == {"small.png": "image_too_small", "grey.png": "no_face"}
    written = images.read_image(folder.crops[2])
    crop = facedancer.align(me, im_size=48, shrink_factor=0.8)
    np.testing.assert_array_equal(crop, written)
    crops = facedancer.align([tmp_path / "in" / "me.png", anna], im_size=48)
    assert crops.shape == (2, 48, 48, 3) and crops.dtype == np.uint8
    assert facedancer.align(tmp_path / "in", tmp_path / "out", **how) == folder
    settings = aligning.AlignSettings(
        str(tmp_path / "in"), str(tmp_path / "out"), **how
    )
    assert crop_align.main(settings) == cli.DONE


def test_align_into_sets(me, anna, tmp_path):
    for name, photo in (("me", me), ("anna", anna)):
        images.write_image(tmp_path / "in" / name / "1.png", photo)
    split = ("train=.5", "test=.5")
    folder = facedancer.align(
        tmp_path / "in", tmp_path / "out", im_size=48, split=split
    )
    sets = {path.relative_to(folder.folder).parts[0] for path in folder.crops}
    assert sets == {"train", "test"} and not folder.dropped


def test_embed(me, anna, both, tmp_path, caplog):
    path = images.write_image(tmp_path / "me.png", me)
    with caplog.at_level(logging.WARNING):
        vectors = facedancer.embed([path, me[:, ::-1], anna])
    assert not caplog.records and vectors.dtype == np.float32
    alike = cosine_matrix(vectors, vectors)
    assert alike[0, 1] > 0.7 > 0.3 > alike[0, 2]
    one = facedancer.embed(path)
    assert one.shape == vectors.shape[1:]
    np.testing.assert_allclose(one, vectors[0], rtol=1e-3, atol=1e-3)
    right = facedancer.embed(both, face="right")
    assert cosine_matrix(right[None], vectors)[0].argmax() == 0
    crop = facedancer.align(me, im_size=64)
    aligned = facedancer.embed(crop, align=False)
    assert cosine_matrix(aligned[None], vectors)[0, 0] > 0.95


def test_errors(me, tmp_path):
    grey = np.full((200, 300, 3), 90, np.uint8)
    with pytest.raises(TypeError, match="'score_treshold'. Did you mean score_thresh"):
        facedancer.detect(me, score_treshold=0.7)
    with pytest.raises(InputError, match="score_threshold. must lie in"):
        facedancer.detect(me, score_threshold=7)
    with pytest.raises(TypeError, match="has its options already.*: min_face"):
        facedancer.detect(me, load_detector(), min_face=20)
    with pytest.raises(InputError, match="At least one photo must be given"):
        facedancer.embed([])
    with pytest.raises(InputError, match="a picture: no face was found"):
        facedancer.embed([me, grey])
    with pytest.raises(InputError, match="must be one of main, largest.*middle"):
        facedancer.embed(me, face="middle")
    with pytest.raises(InputError, match=r"a picture: gave no crop .no_face."):
        facedancer.align(grey)
    with pytest.raises(InputError, match="gave no crop .image_too_small."):
        facedancer.align(me[:100])
    with pytest.raises(TypeError, match="'size'"):
        facedancer.align(me, size=112)
    with pytest.raises(InputError, match="the photos are a folder. Received: list"):
        facedancer.align([me], tmp_path / "out")
    images.write_image(tmp_path / "in" / "grey.png", grey)
    with pytest.raises(InputError, match="no photo or clip gave a crop .1 no_face."):
        facedancer.align(tmp_path / "in", tmp_path / "out")
    with pytest.raises(InputError, match="What is to be measured"):
        facedancer.evaluate()
    with pytest.raises(KeyError, match="pose was not measured. Measured: none"):
        document.Report("copy")["pose"]

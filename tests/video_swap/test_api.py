"""Tests of swapping from Python: packaged networks, a real face."""

import copy
import dataclasses
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image

import facedancer
from facedancer.errors import InputError
from facedancer.imaging import images, sample_photos
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.video_swap import api
from facedancer.video_swap.provenance import signing
from tests.video_swap import made

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def face():
    """A photo of one face, `(260, 240, 3)`."""
    return np.ascontiguousarray(skimage.data.astronaut()[:260, 100:340])


@pytest.fixture(scope="module")
def swapper():
    return facedancer.Swapper()


@pytest.fixture(scope="module")
def other(face):
    """Somebody else: as far from the face as a vector can be."""
    made_up = np.random.default_rng(0).normal(size=(260, 240, 1)) * 20
    return np.clip(face[:, ::-1] * 0.6 + made_up, 0, 255).astype(np.uint8)


def test_names_come_when_asked_for():
    code = (
        "import sys, facedancer\n"
        "assert 'cv2' not in sys.modules\n"
        "facedancer.Swapper\n"
        "assert 'cv2' in sys.modules and 'keras' not in sys.modules\n"
        "try:\n    facedancer.Swopper\n"
        "except AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert "has no attribute 'Swopper'" in done.stdout, done.stderr


def test_photo(swapper, face, tmp_path):
    result = swapper.swap(face, source=sample_photos.path("hopper"))
    assert result.shape == face.shape and np.asarray(result).dtype == np.uint8
    assert result.swapped == (True,) and len(result.faces) == 1
    x, y = result.faces.landmarks[0].mean(axis=0).astype(int)
    changed = np.abs(np.asarray(result).astype(int) - face).max(axis=2)
    assert changed[y - 20 : y + 20, x - 20 : x + 20].mean() > 4
    assert changed[-30:, :30].mean() < 3, "only the mark may change the background"
    saved = result.save(tmp_path / "out" / "swapped.png")
    assert "signed" in result.provenance
    claim = signing.read(saved)
    assert claim.signed and claim.intact
    np.testing.assert_array_equal(images.read_image(saved), result.image)


def test_forms_of_photos_are_one(swapper, face, other, tmp_path):
    path = images.write_image(tmp_path / "me.png", other)
    vectors = [
        swapper.identity(one).vector for one in (path, str(path), other, [other, other])
    ]
    vectors.append(swapper.identity(Image.fromarray(other)).vector)
    for vector in vectors[1:]:
        np.testing.assert_allclose(vector, vectors[0], rtol=1e-4, atol=1e-4)
    me = swapper.identity(path)
    first = swapper.swap(face, source=me)
    second = swapper.swap(images.write_image(tmp_path / "face.png", face), source=path)
    assert np.abs(first.image.astype(int) - second.image).max() <= 1


def told(swapper, told, inputs):
    """A swapper whose generator is told something else, and what it was fed."""
    other, fed = copy.copy(swapper), []

    def engine(feeds):
        fed.append(feeds)
        return {"swapped": 0.0 * feeds["target"]}

    contract = SwapContract(InputContract(32, "signed"), told, inputs)
    other._loaded = dataclasses.replace(
        swapper._loaded, engine=engine, contract=contract
    )
    return other, fed


def test_generators_that_know_people(swapper, face):
    label = IdentityInput("label", 2, names=("anna", "ben"))
    other, fed = told(swapper, label, ("target", "label"))
    assert other.swap(face, source="ben").swapped == (True,)
    other.swap(face, people=[(face, 0)])
    assert [feeds["label"].tolist() for feeds in fed] == [[[1]], [[0]]]
    with pytest.raises(InputError, match=r"anna, ben. Received: bn. Did you mean ben"):
        other.swap(face, source="bn")
    with pytest.raises(InputError, match="takes no photo as source"):
        other.swap(face, source=swapper.identity(face))
    one = told(swapper, IdentityInput("none", 0), ("target",))[0]
    assert one.swap(face, source="own").swapped == (True,)


def test_generators_that_are_shown_the_source(swapper, face, other, tmp_path):
    size = swapper.identity(other).vector.size
    shown, fed = told(
        swapper, IdentityInput("vector", size), ("target", "reference", "identity")
    )
    path = images.write_image(tmp_path / "me.png", other)
    shown.swap(face, source=[path, face])  # the first one is shown
    shown.swap(face, source=other)
    assert fed[0]["reference"].shape == (1, 32, 32, 3)
    np.testing.assert_allclose(fed[0]["reference"], fed[1]["reference"], atol=0.02)
    with pytest.raises(InputError, match="is shown a photo of the source, an identity"):
        shown.swap(face, source=swapper.identity(other))


def test_faces_and_people(swapper, face, other):
    both = np.concatenate([face, other], axis=1)
    found = swapper.faces(both)
    assert len(found) == 2 and found.alike.shape == (2, 2)
    np.testing.assert_allclose(np.diag(found.alike), 1.0, rtol=1e-5)
    known = {"her": swapper.identity(face), "other": swapper.identity(other)}
    left_first = np.argsort(found.faces.boxes[:, 0])
    names = [found.like(known)[i][0] for i in left_first]
    assert names == ["her", "other"]
    assert found.like({}) == [("", 0.0)] * 2


def test_one_person_is_swapped_and_another_stays(swapper, face, other):
    both = np.concatenate([face, other], axis=1)
    people = [(face, other), (other, None)]
    result = swapper.swap(both, people=people)
    left_first = np.argsort(result.faces.boxes[:, 0])
    assert [result.swapped[i] for i in left_first] == [True, False]


def test_clip(swapper, face, other, tmp_path):
    frames = [np.roll(face[:, :], i, axis=1)[:240, :224] for i in range(5)]
    clip = made.write_clip(tmp_path / "clip.mp4", frames)
    told = []
    result = swapper.swap_video(
        clip,
        other,
        tmp_path / "out.mp4",
        on_progress=lambda done, total: told.append((done, total)),
        min_track=1,
    )
    assert result.frames == 5 and result.faces_swapped == 5 and not result.damage
    assert [done for done, _ in told] == [1, 2, 3, 4, 5]
    assert result.output.is_file() and "signed" in result.provenance


def test_errors(swapper, face, tmp_path):
    with pytest.raises(TypeError, match="'strenght'. Did you mean strength?"):
        facedancer.Swapper(strenght=1.0)
    with pytest.raises(InputError, match="strength.* must lie in"):
        facedancer.Swapper(strength=9.0)
    with pytest.raises(InputError, match="no generator facedancer_lite_69.*Did you"):
        facedancer.Swapper.from_preset("facedancer_lite_69")
    with pytest.raises(InputError, match="Give `source` or `people`"):
        swapper.swap(face)
    with pytest.raises(InputError, match="0 faces were found"):
        swapper.swap(np.zeros((50, 70, 3), np.uint8), source=face)
    with pytest.raises(InputError, match=r"Received: shape \(50, 70\), float64"):
        swapper.swap(np.zeros((50, 70)), source=face)
    with pytest.raises(InputError, match="no face was found"):
        swapper.identity(np.zeros((50, 70, 3), np.uint8))
    foreign = api.Identity(np.ones(64, np.float32), "another@1", "anna")
    with pytest.raises(InputError, match="anna was made with the encoder another@1"):
        swapper.swap(face, source=foreign)
    path = images.write_image(tmp_path / "face.png", face)
    with pytest.raises(InputError, match="must not replace the target"):
        swapper.swap(path, source=face).save(path)
    with pytest.raises(InputError, match="Give `output`"):
        swapper.swap_video("clip.mp4", source=face)


def test_other_settings_with_the_same_networks(swapper, face, other):
    stronger = swapper.with_settings(strength=1.5)
    assert stronger.names == swapper.names
    plain = swapper.swap(face, source=other).image
    assert (stronger.swap(face, source=other).image != plain).any()
    np.testing.assert_array_equal(swapper.swap(face, source=other).image, plain)
    with pytest.raises(InputError, match="strength"):
        swapper.with_settings(strength=9.0)
    with pytest.raises(TypeError, match="Did you mean strength"):
        swapper.with_settings(strenght=1.0)


def test_people_are_numbered_from_the_left(swapper, face, tmp_path):
    both = np.concatenate([face, face[:, ::-1]], axis=1)
    found = swapper.people(images.write_image(tmp_path / "both.png", both))
    assert [one.number for one in found] == [1, 2]
    with pytest.raises(InputError, match="no such file"):
        swapper.people(tmp_path / "none.png")

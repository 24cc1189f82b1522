"""Damaged model files for everything that loads one."""

from __future__ import annotations

import functools
import io
import json
import os
import pathlib
import shutil

import h5py
import keras
import numpy as np

from facedancer import cli, models
from facedancer.arcface_model import build_mobilefacenet, load_encoder
from facedancer.arcface_model.onnx_network import load_onnx_encoder
from facedancer.evaluation.instruments import backbones, judges, pose_network
from facedancer.models import saving
from facedancer.models.families.face_parser.loading import load_parser
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.published import published_writer, reading
from facedancer.retinaface import load_detector
from facedancer.retinaface.network import build_retinaface
from facedancer.train.frozen import perceptual
from facedancer.video_swap.compositing import parsing
from tests import testing
from tests.hostile import mutations, seeds
from tests.hostile.cases import Case
from tests.hostile.harness import library, program

SMALL = {
    "image_size": 16,
    "widths": (3, 5, 4),
    "up_types": ("affa", "no_skip", "concat"),
    "mapping_sizes": (7, 6),
    "identity_size": 9,
}
SIDE = 32
# Which files of the test material are tried too, and how each is loaded.
MATERIAL = {
    "generator": ("interop/tf210/gen_small_C.h5", "interop/tf215/gen_small_mixed.h5"),
    "discriminator": ("interop/tf215/disc_small.h5",),
    "detector": ("models/detection/retinaface_mobilenet025.npz",),
    "judge": ("models/recognition/mobilefacenet_casia.tflite",),
    "pose": ("models/pose/fsanet-1x1-iter-688590.onnx",),
    "perceptual": ("models/perceptual/squeezenet_notop.h5",),
    "backbone": ("models/perceptual/squeezenet_notop.h5",),
}


def _output_of(model):
    return next(iter(model.named(model.example_inputs()).values()))


def _embedded(encoder):
    side = encoder.contract.size
    ramp = np.linspace(-1, 1, side * side * 3, dtype=np.float32)
    return encoder(ramp.reshape(1, side, side, 3))


def _judged(path):
    judge = judges.load_judge(path, judges.JudgeInput(columns=(8, 104)))
    return judge.run(np.full((1, 112, 96, 3), 90, np.uint8))


def _posed(path):
    network = pose_network.PoseNetwork([path])
    return network.run(np.full((1, network.size, network.size, 3), 90, np.uint8))


def _features(path):
    image = np.linspace(-1, 1, SIDE * SIDE * 3, dtype=np.float32)
    return perceptual.load(str(path), SIDE).features(image.reshape(1, SIDE, SIDE, 3))[0]


def _mapped(path):
    backbone = backbones.load_backbone(path, SIDE)
    return backbone.maps(np.full((1, backbone.size, backbone.size, 3), 90, np.uint8))[0]


# By the kind of a seed: from its path to some numbers it computes.
LOADERS = {
    "generator": lambda path: _output_of(models.load_generator(path)),
    "discriminator": lambda path: _output_of(models.load_discriminator(path)),
    "any": lambda path: _output_of(reading.load(path, "auto")),
    "encoder": lambda path: _embedded(load_encoder(path)),
    "onnx": lambda path: _embedded(load_onnx_encoder(path)),
    "detector": lambda path: (
        load_detector(path, score_threshold=0.0).detect(seeds.face()).scores[:5]
    ),
    "parser": lambda path: parsing.visible(load_parser(path), seeds.face()[:32, :32]),
    "judge": _judged,
    "pose": _posed,
    "perceptual": _features,
    "backbone": _mapped,
}


class Models:
    """Makes cases: one damaged model file.

    The whole files are made, and their outputs computed, in a process of its own: the
    one that forks the cases must not have used TensorFlow.

    Args:
        folder: For files that all cases share.
    """

    name = "models"

    def __init__(self, folder: pathlib.Path):
        self.folder = folder / "models"
        self.folder.mkdir()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _make_whole_files(self.folder)
                status = 0
            finally:
                os._exit(status)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError("the whole model files could not be made")
        with np.load(self.folder / "expected.npz") as stored:
            self.expected = dict(stored)
        self.names = sorted(self.expected)

    def case(self, seed: int, places) -> Case:
        """Returns a case, its inputs written.

        Args:
            seed: Decides everything.
            places: Its folders.
        """
        random = np.random.default_rng([seed, 3])
        name = self.names[seed % len(self.names)]
        kind, _, file = name.partition(":")
        for path in self.folder.glob(f"{file.partition('.')[0]}.*"):
            shutil.copy(path, places.inputs)  # a checkpoint is two files
        path = places.inputs / file
        what = _damage(path, random)
        start, exact = self._start(kind, path, places, random)
        check = functools.partial(self._check, name, what, exact)
        return Case(f"{name} {what}", start, check)

    def _start(self, kind, path, places, random):
        """Returns what runs, and whether it prints the numbers of `LOADERS`."""
        output = places.output / "made.keras"
        whole = random.random() < 0.3  # the program around the loader too
        if kind in ("any", "generator", "discriminator") and whole:
            words = [path, output]
            return program("convert", words), False
        if kind == "onnx" and whole:
            words = [f"--onnx_path={path}", f"--output={output}"]
            return program("onnx_encoder", words), False
        if kind == "detector" and whole:
            (places.inputs / "photos").mkdir()
            seeds.write(places.inputs / "photos" / "a.png", seeds.face())
            words = [f"--data_dir={places.inputs / 'photos'}", f"--retina_path={path}"]
            words.append(f"--output={places.output / 'labels.csv'}")
            return program("label_faces", words), False
        return library(functools.partial(_load, kind, path)), True

    def _check(self, name, what, exact, outcome):
        if outcome.status == 2:
            return "a model file has no status 2"
        if outcome.status or not exact or not what.startswith("bytes of an archive"):
            return ""
        # an archive has checksums: damaged bytes may not change a number
        found = np.array(json.loads(outcome.stdout.splitlines()[-1]))
        expected = self.expected[name]
        if found.shape != expected.shape or not np.allclose(found, expected, atol=1e-4):
            return "damaged weights were loaded from an archive with checksums"
        return ""


def _load(kind, path):
    numbers = keras.ops.convert_to_numpy(LOADERS[kind](path))
    print(json.dumps(np.ravel(numbers)[:50].astype(float).tolist()))
    return cli.DONE


def _make_whole_files(folder):
    """Writes whole files, and the numbers that their networks give."""
    generator = models.build_generator(GeneratorConfig(**SMALL))
    discriminator = models.build_discriminator(
        DiscriminatorConfig(image_size=8, base_width=2)
    )
    encoder = build_mobilefacenet(embedding_size=8, image_size=SIDE, width=0.125)
    kept = {"any": [], "encoder": [], "detector": [], "parser": [], "backbone": []}
    for ending in (".keras", ".h5"):
        for stem, model, kind in (
            ("gen", generator, "any"),
            ("dis", discriminator, "any"),
            ("enc", encoder, "encoder"),
            ("det", build_retinaface(width=4, channels=8), "detector"),
        ):
            with saving.quiet():
                model.save(folder / f"{stem}{ending}", include_optimizer=False)
            kept[kind].append(f"{stem}{ending}")
    models.fuse(generator).save(folder / "fused.keras")
    published_writer.save_published(generator, folder / "published.h5")
    kept["any"] += ["fused.keras", "published.h5", _checkpoint(folder, generator)]
    image = keras.Input((SIDE, SIDE, 3))
    keras.Model(image, keras.layers.Conv2D(19, 3, padding="same")(image)).save(
        folder / "parser.keras"
    )
    keras.Model(image, keras.layers.Conv2D(5, 3, activation="relu")(image)).save(
        folder / "maps.keras"
    )
    kept["parser"].append("parser.keras")
    kept["backbone"].append("maps.keras")
    kept["onnx"] = _onnx(folder)
    for kind, files in MATERIAL.items():
        for file in files:
            path = testing.SHARED / file
            if path.exists():
                shutil.copy(path, folder / path.name)
                kept.setdefault(kind, []).append(path.name)
    expected = {}
    for kind, files in kept.items():
        for file in files:
            numbers = keras.ops.convert_to_numpy(LOADERS[kind](folder / file))
            expected[f"{kind}:{file}"] = np.ravel(numbers)[:50].astype(float)
    np.savez(folder / "expected.npz", **expected)


def _checkpoint(folder, generator):
    """Writes `ck.json` beside `ck_1.h5` as the original does; returns the first."""
    config, arrays = published_writer.describe(generator, first=5)
    (folder / "ck.json").write_text(json.dumps(config))
    with h5py.File(folder / "ck_1.h5", "w") as file:
        published_writer.write_weights(file, arrays)
    shutil.copy(folder / "ck_1.h5", folder / "ck.h5")  # copied with its description
    return "ck.json"


def _onnx(folder):
    try:
        import onnx

        from tests.arcface_model import test_onnx_encoder
    except ImportError:
        return []
    onnx.save(test_onnx_encoder.make_model(), folder / "enc.onnx")
    return ["enc.onnx"]


def _damage(path, random):
    """Damages a file in place; returns what was done."""
    data = path.read_bytes()
    how = random.random()
    if path.suffix == ".json":
        if path.with_name("ck.h5").exists():
            shutil.move(path.with_name("ck.h5"), path.with_name("ck_1.h5"))
        if how < 0.3:
            path.write_bytes(mutations.damage(data, random))
            return "bytes of a description"
        damaged = mutations.damage_json(json.loads(data), random)
        path.write_text(json.dumps(damaged))
        return "values of a description"
    if data.startswith(b"PK") and path.suffix != ".task":
        if how < 0.3:
            path.write_bytes(mutations.damage(data, random))
            return "bytes of an archive"
        inner = damage_h5 if path.suffix == ".keras" else mutations.damage
        path.write_bytes(mutations.damage_archive(data, random, inner))
        return "an archive's member"
    if data.startswith(b"\x89HDF") and how < 0.65:
        path.write_bytes(damage_h5(data, random))
        return "values of an HDF5 file"
    path.write_bytes(mutations.damage(data, random))
    return "bytes"


def damage_h5(data: bytes, random: np.random.Generator) -> bytes:
    """Returns an HDF5 file with odd values in good order, or damaged bytes.

    Args:
        data: The file.
        random: Decides everything.
    """
    how = random.random()
    if how < 0.35:
        return mutations.damage(data, random)
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        if "model_config" in file.attrs and how < 0.75:
            stored = json.loads(file.attrs["model_config"])
            damaged = json.dumps(mutations.damage_json(stored, random)).encode()
            del file.attrs["model_config"]
            file.attrs["model_config"] = damaged
        else:
            _damage_items(file, random)
    return buffer.getvalue()


def _damage_items(file, random):
    names: list[str] = []
    file.visit(names.append)
    name = names[random.integers(len(names))]
    item, how = file[name], int(random.integers(7))
    odd = (
        np.zeros((2, 3), np.float64),
        np.float32(1.0),
        np.zeros((0,), np.float32),
        np.full((3, 3, 3), np.nan, np.float32),
        np.array([b"text"]),
        np.zeros(4, np.int8),
    )
    value = odd[random.integers(len(odd))]
    if how == 0:
        del file[name]
    elif how == 1:
        del file[name]
        file[name] = value
    elif how == 2:
        file.move(name, f"{name}_")
    elif how == 3:
        del file[name]
        file.create_group(name)
    elif how == 4 and isinstance(item, h5py.Dataset):
        kept = np.asarray(item)
        del file[name]
        file[name] = kept.T if kept.ndim > 1 else kept.reshape(-1, 1)
    else:
        holders = [file, *(file[n] for n in names)]
        holders = [holder for holder in holders if len(holder.attrs)] or [file]
        holder = holders[random.integers(len(holders))]
        keys = list(holder.attrs) or ["layer_names"]
        key = keys[random.integers(len(keys))]
        if how == 5:
            holder.attrs[key] = value
        elif key in holder.attrs:
            kept = holder.attrs[key]
            whole = isinstance(kept, np.ndarray) and len(kept) > 1
            holder.attrs[key] = kept[:-1] if whole else b"\xff\xfe"

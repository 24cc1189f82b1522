"""A stranger with an editor: go to definition works from folder to folder."""

import pathlib

import jedi
import pytest

ROOT = pathlib.Path(__file__).parents[1]
# Where the cursor stands (file, a piece of text that ends at it), and the definition.
JUMPS = [
    (
        "dataset/folder_alignment.py",
        "aligning.align_photos",
        "dataset/photos/aligning.py",
    ),
    ("dataset/crop_align.py", "cli.run", "facedancer/cli.py"),
    ("train/loading.py", "fold(load_encoder", "arcface_model/loading.py"),
    (
        "train/distillation/distilling.py",
        "import Encoder, verification",
        "arcface_model/verification.py",
    ),
    ("models/conversion.py", "import reading", "models/published/reading.py"),
    (
        "video_swap/clips/examining.py",
        "credentials, signing, watermark",
        "video_swap/provenance/watermark.py",
    ),
    ("video_swap/clips/tracking.py", "cosine", "facedancer/networks/vectors.py"),
    (
        "video_swap/swapping/swapper.py",
        "paste.paste",
        "video_swap/compositing/paste.py",
    ),
    (
        "evaluation/measuring/clips.py",
        "outlines.face_outline",
        "facedancer/face/outlines.py",
    ),
    (
        "retinaface/training/scenes.py",
        "import alignment",
        "facedancer/face/alignment.py",
    ),
]


@pytest.mark.parametrize("file, text, target", JUMPS, ids=[jump[1] for jump in JUMPS])
def test_go_to_definition(file, text, target):
    source = (ROOT / file).read_text()
    assert text in source, f"{file} no longer holds `{text}`"
    before = source[: source.index(text) + len(text)].splitlines()
    script = jedi.Script(path=ROOT / file, project=jedi.Project(ROOT))
    found = script.goto(
        len(before),
        len(before[-1]) - 1,
        follow_imports=True,
        follow_builtin_imports=True,
    )
    places = [definition.module_path.resolve() for definition in found]
    assert (ROOT / target).resolve() in places, f"{file}: `{text}` leads to {places}"

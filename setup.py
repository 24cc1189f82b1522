"""Install with `pip install -e .`; pyproject.toml holds the tool settings."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
FOLDERS = (
    "dataset",
    "models",
    "train",
    "video_swap",
    "arcface_model",
    "retinaface",
    "evaluation",
    "ui",
)

# The rooms of `facedancer/`; beside them lie links to the folders.
ROOMS = sorted(
    path.parent.name
    for path in (ROOT / "facedancer").glob("*/__init__.py")
    if path.parent.name not in FOLDERS
)

packages = ["facedancer", *(f"facedancer.{room}" for room in ROOMS)]
for folder in FOLDERS:
    packages.append(f"facedancer.{folder}")
    packages += [f"facedancer.{folder}.{name}" for name in find_packages(folder)]

init = (ROOT / "facedancer" / "__init__.py").read_text()

# TensorFlow stands in extras only: `tensorflow-cpu` and `tensorflow` own the same
# folder, and both at once break each other. What swaps, verifies, aligns, detects and
# evaluates with portable networks does without it and without Keras.
KERAS = [
    "h5py",  # .keras and .h5 files
    "keras>=3.12",
    "matplotlib",  # curves of a training
    "onnx",  # with tf2onnx: portable networks
    "tf2onnx",
]
TRAIN = ["tensorflow-cpu>=2.19", *KERAS]

setup(
    name="facedancer",
    version=re.search(r'__version__ = "(.+)"', init).group(1),
    description="FaceDancer in Keras 3: train, export and run a face swapper.",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=packages,
    # Folder `models/` of the checkout is the package `facedancer.models`.
    package_dir={"facedancer": "facedancer", **{f"facedancer.{f}": f for f in FOLDERS}},
    package_data={
        "facedancer": ["py.typed"],
        "facedancer.pretrained": ["*.keras", "*.onnx", "*.npz", "*.jpg"],
    },
    install_requires=[
        "absl-py",
        "av>=14",
        "c2pa-python",
        "cryptography",
        "google-crc32c",
        "numpy",
        "opencv-python-headless>=4.11",
        "openvino",
        "pillow>=11",
        "tqdm",
    ],
    extras_require={
        "train": TRAIN,
        "cpu": TRAIN,  # its earlier name
        "gpu": ["tensorflow[and-cuda]>=2.19", *KERAS],
        "onnxruntime": ["onnxruntime"],
        "litert": ["ai-edge-litert"],  # swaps with .tflite files
        "heif": ["pillow-heif"],  # photos of phones
        "jax": ["jax>=0.7", *KERAS],
        "export": ["onnx", "tf2onnx", "onnxruntime", "ai-edge-litert"],
        # By itself: there are no wheels for Windows, and it brings SymPy along.
        "coreml": ["coremltools>=9"],
        "evaluation": ["matplotlib", "scikit-learn"],
        "ui": ["gradio>=6"],
        "hub": ["huggingface_hub>=1"],  # weights get
        "mtcnn": ["mtcnn>=1.0.0"],
        "beam": ["apache-beam[tfrecord]"],
        "tensorboard": ["tensorboard"],
        "docs": ["mkdocs-material", "mkdocstrings[python]"],
        "notebook": ["ipykernel", "nbclient"],
        "test": [
            "ai-edge-litert",  # the engine litert
            "jax>=0.7",  # both drivers of a step are compared
            "jedi",  # a test asks it for definitions, as an editor does
            "matplotlib",
            "mtcnn>=1.0.0",
            "mypy",
            "onnxruntime",  # the engine of that name
            "pytest",
            "pytest-timeout",
            "pytest-xdist",  # files share the cores
            "ruff",
            "scikit-image",  # photos, and another's SSIM
            "selenium",  # drives Chromium as it is installed; downloads none
            "tensorboard",
        ],
    },
    entry_points={
        "console_scripts": [
            "facedancer = facedancer.command:main",
            "facedancer-crop-align = facedancer.programs:crop_align",
            "facedancer-dataset-sharding = facedancer.programs:dataset_sharding",
            "facedancer-make-triplets = facedancer.programs:make_triplets",
            "facedancer-triplet-sharding = facedancer.programs:triplet_sharding",
            "facedancer-shards = facedancer.programs:shards",
            "facedancer-outliers = facedancer.programs:outliers",
            "facedancer-make-faces = facedancer.programs:make_faces",
            "facedancer-train = facedancer.programs:train",
            "facedancer-calibrate-margins = facedancer.programs:calibrate_margins",
            "facedancer-distill-encoder = facedancer.programs:distill_encoder",
            "facedancer-label-faces = facedancer.programs:label_faces",
            "facedancer-train-parser = facedancer.programs:train_parser",
            "facedancer-train-refiner = facedancer.programs:train_refiner",
            "facedancer-train-detector = facedancer.programs:train_detector",
            "facedancer-onnx-encoder = facedancer.programs:onnx_encoder",
            "facedancer-convert = facedancer.programs:convert",
            "facedancer-export = facedancer.programs:export",
            "facedancer-portable = facedancer.programs:portable",
            "facedancer-swap-image = facedancer.programs:swap_image",
            "facedancer-swap-video = facedancer.programs:swap_video",
            "facedancer-find-faces = facedancer.programs:find_faces",
            "facedancer-weights = facedancer.programs:list_weights",
            "facedancer-verify = facedancer.programs:verify",
            "facedancer-benchmark = facedancer.programs:benchmark",
            "facedancer-make-pairs = facedancer.programs:make_pairs",
            "facedancer-evaluate = facedancer.programs:evaluate",
            "facedancer-compare-reports = facedancer.programs:compare_reports",
            "facedancer-demo = facedancer.programs:demo",
            "facedancer-ui = facedancer.programs:ui",
        ]
    },
)

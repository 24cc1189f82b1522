"""Settings of the evaluation program; reading them needs no network library."""

from __future__ import annotations

import dataclasses

from facedancer.evaluation.plots import embedding_maps
from facedancer.flags.settings import Checked, choice, ranged, setting
from facedancer.video_swap.compositing.mask_kinds import MASKS

SWAPPERS = ("generator", "copy", "paste")
STUDIES = (
    "heat_map",
    "look_alikes",
    "drift",
    "interpolation",
    "match_curve",
    "map",
    "failures",
)


@dataclasses.dataclass(frozen=True)
class EvaluateSettings(Checked):
    """Settings of the program.

    Attributes:
        out: Folder for the report; index.html in it is the page to look at.
        data_dir: One folder of photos a person: pairs are drawn from it.
        known_dir: Photos of the people that the generator knows, where it is told a
            number (--facedancer_path's input is a label) or nothing: sources are drawn
            from them. A folder a person, called as the generator calls them, NUMBER or
            NUMBER_NAME, or, where it knows no names, in the order of the numbers;
            photos in no folder are of the one person it shows.
        pairs_csv: List of pairs, see make_pairs; relative paths start at --data_dir, or
            without it at the list's folder.
        results: Folder of triples made by any program: pairs.csv with a column swapped,
            or folders source, target and swapped with equal names.
        pairs: Number of pairs to draw from --data_dir, or to take from the head of the
            list; 0: all of the list.
        seed: Of all draws.
        same_share: Fraction of drawn pairs whose source is the target itself.
        swapper: generator, or one of two bounds: copy (the target) or paste (of the
            source's aligned face).
        facedancer_path: Generator, .h5 or .keras; empty: the packaged one.
        arcface_path: Encoder of the generator; empty: the packaged one.
        retina_path: Face detector; empty: the packaged one; mtcnn: that package.
        judge_path: Encoder that judges identity: .keras, .h5, .onnx or .tflite; empty:
            the packaged one, and where the generator was trained with that, none:
            identity is left out.
        judge_mean: For .onnx and .tflite: mean of each RGB channel in [0, 1], which is
            subtracted.
        judge_std: For .onnx and .tflite: what each channel is divided by.
        judge_bgr: For .onnx and .tflite: it wants blue first, red last.
        judge_columns: For .tflite: first and last column of the aligned 112-pixel crop
            it takes.
        allow_same_judge: Let a judge pass that the generator was conditioned on.
        pose_path: Head pose networks of FSA-Net's form, .onnx, .keras or .h5; their
            mean is taken. Empty: five landmarks only.
        landmarker_path: MediaPipe's face_landmarker .task file, for mesh, blendshapes,
            gaze and mouth.
        eval_model_expface: Keras network from face crops to an expression vector.
        features_path: Network of the Frechet distance: InceptionV3 (as published) or
            another one; empty: the one of --perceptual_path, else none.
        perceptual_path: Weights of SqueezeNet or VGG16 for a perceptual distance.
        lpips_weights: Weights of its channels, .npz.
        aligned: Photos are aligned crops; where no face is found, the template is
            taken.
        cache_dir: Folder that keeps results of networks between runs.
        studies: Which studies are made, all or none of them, or some of: heat_map,
            look_alikes, drift, interpolation, match_curve, map, failures.
        maps: How identity vectors are drawn in the plane: pca, tsne, umap.
        rounds: How often results are fed back in the study drift.
        draws: Of the bootstrap.
        mask: Shape that a generator's face is pasted with.
        device_id: Number of the GPU; -1 for the CPU.
        engine: What runs the generator: auto, keras or openvino.
        target_video: A video to measure flicker on.
        swapped_video: Its result; empty: the swapper makes it.
        swap_source: Photo of the person in the result of the video.
    """

    HEADINGS = {
        "out": "What is measured",
        "swapper": "The swapper and its networks",
        "judge_path": "Networks that measure",
        "aligned": "How",
        "studies": "Studies",
        "mask": "The engine",
        "target_video": "A video",
    }

    out: str = setting(essential=True)
    data_dir: str = setting("", essential=True)
    known_dir: str = ""
    pairs_csv: str = setting("", essential=True)
    results: str = setting("", essential=True)
    pairs: int = ranged(500, low=0, essential=True)
    seed: int = 0
    same_share: float = ranged(0.0, low=0.0, high=1.0)
    swapper: str = choice("generator", SWAPPERS)
    facedancer_path: str = setting("", essential=True)
    arcface_path: str = setting("", essential=True)
    retina_path: str = setting("", essential=True)
    judge_path: str = setting("", essential=True)
    judge_mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    judge_std: tuple[float, ...] = (0.5, 0.5, 0.5)
    judge_bgr: bool = False
    judge_columns: tuple[int, ...] = (0, 112)
    allow_same_judge: bool = False
    pose_path: tuple[str, ...] = ()
    landmarker_path: str = ""
    eval_model_expface: str = ""
    features_path: str = ""
    perceptual_path: str = ""
    lpips_weights: str = ""
    aligned: bool = False
    cache_dir: str = setting("", essential=True)
    studies: tuple[str, ...] = choice(("all",), (*STUDIES, "all", "none"))
    maps: tuple[str, ...] = ("pca",)
    rounds: int = ranged(10, low=1)
    draws: int = ranged(1000, low=20)
    mask: str = choice("face", MASKS)
    device_id: int = 0
    engine: str = "auto"
    target_video: str = ""
    swapped_video: str = ""
    swap_source: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.data_dir or self.pairs_csv or self.results or self.target_video):
            raise ValueError(
                "What is to be measured? Give --data_dir, --pairs_csv, --results or "
                "--target_video"
            )
        if self.results and (self.pairs_csv or self.data_dir):
            raise ValueError("--results brings its own pairs: give it alone")
        if self.known_dir and (self.results or self.same_share):
            raise ValueError(
                "--known_dir says who is put on photos of others: leave out --results "
                "and --same_share"
            )
        if self.swapped_video and not self.target_video:
            raise ValueError("--swapped_video needs --target_video")
        if self.target_video and not (self.swapped_video or self.swap_source):
            raise ValueError("--target_video needs --swapped_video or --swap_source")
        if self.lpips_weights and not self.perceptual_path:
            raise ValueError("--lpips_weights needs --perceptual_path")
        embedding_maps.check(self.maps)

    def wants(self, study: str) -> bool:
        """Returns whether a study is asked for.

        Args:
            study: Its name.
        """
        return study in self.studies or "all" in self.studies

"""The settings of the training program, in groups; its flags are made from them."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib

from facedancer.dataset.reading.pair_reader import ON_CORRUPT
from facedancer.flags.settings import (
    Checked,
    choice,
    did_you_mean,
    flat,
    ranged,
    setting,
)
from facedancer.train.network_settings import FrozenSettings, NetworkSettings
from facedancer.train.objective.recipes import PairRecipe, Recipe
from facedancer.train.recipe_flags import given_numbers, overrides
from facedancer.train.recipe_settings import (
    AdversarySettings,
    LossSettings,
    OptimisationSettings,
    PairFlags,
    SystemSettings,
)
from facedancer.train.systems import SYSTEMS

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("auto", "one", "mirrored", "multi_worker")
BACKENDS = ("", "tensorflow", "jax")  # empty: what Keras runs on
FORMATS = ("onnx", "litert", "coreml", "openvino", "saved_model")


@dataclasses.dataclass(frozen=True)
class DataSettings(Checked):
    """What is read, and how photos are changed.

    Attributes:
        data_dir: Shards to train on: a folder, or a glob pattern.
        shrink_factor: With which `crop_align` cut the crops, for shards whose manifest
            does not say it, such as those of the original program. Empty: as the
            manifest says, else 1.
        triplets: Shards of triplets with a known truth, mixed among the pairs.
        triplet_ratio: Fraction of triplets; or one for each part of --triplets.
        colour_match: Probability that a photo takes on colours of another one. Empty:
            the recipe decides, as of the next two; published is 0.
        affine: Turn, zoom and shift photos at random; published is none.
        motion_blur: Probability that a photo is blurred along a line; published is 0.
        shuffle: Shuffle the photos.
        cache_mb: Memory for decoded photos.
        on_corrupt: stop at a damaged record, or at the start at a shard that is lost,
            empty, cut or too long; or skip what is not whole, with a warning.
    """

    data_dir: str = setting("", essential=True)
    shrink_factor: float | None = ranged(None, above=0.0, high=1.0)
    triplets: str = ""
    triplet_ratio: tuple[float, ...] = ranged((0.3,), low=0.0, high=1.0)
    colour_match: float | None = overrides("colour_match", PairRecipe)
    affine: str | None = overrides("affine", PairRecipe)
    motion_blur: float | None = overrides("motion_blur", PairRecipe)
    shuffle: bool = True
    cache_mb: int = ranged(256, low=0)
    on_corrupt: str = choice("skip", ON_CORRUPT)


@dataclasses.dataclass(frozen=True)
class DeviceSettings(Checked):
    """Devices and arithmetic.

    Attributes:
        backend: What Keras runs on. Empty: what KERAS_BACKEND says, else tensorflow.
        strategy: one device, mirrored over all GPUs (or --devices), multi_worker from
            TF_CONFIG, or auto: what fits the machine.
        devices: Devices of the mirrored strategy, such as GPU:0 and GPU:1; with jax
            those that share the batch, all by default.
        device_id: GPU to use with the strategy one.
        precision: Policy of the networks' arithmetic.
        compile_cache: With jax: folder of compiled programs, for the next start.
        photo_mb: With jax: memory of a device for decoded photos, in MB. Where all fit
            they are decoded once and changed on the device. Empty: half of what is
            free, on a CPU none; 0: none.
        xla: Compile with XLA; on CPUs it is slower, and not with mixed_bfloat16.
    """

    backend: str = choice("", BACKENDS)
    strategy: str = choice("auto", STRATEGIES, essential=True)
    devices: tuple[str, ...] = ()
    device_id: int = 0
    precision: str = choice("float32", PRECISIONS)
    compile_cache: str = ""
    photo_mb: int | None = ranged(None, low=0)
    xla: bool = False


@dataclasses.dataclass(frozen=True)
class OutputSettings(Checked):
    """The run: where it starts from, what it writes, and how often.

    Attributes:
        load: Checkpoint to start from: a step, latest or best. Empty: the latest.
        resume: Go on from the latest checkpoint of the run, if there is one.
        export: Write the generator of --load to the folder export and end.
        export_formats: Further formats of the export.
        log_dir: Folder of the runs.
        log_name: Name of the run; its folder below --log_dir holds everything.
        chkp_dir: Folder of the checkpoints, in a folder of the run's name. Empty: in
            the run's folder.
        log_every: Steps between lines of the log.
        save_every: Steps between checkpoints.
        save_minutes: Minutes between checkpoints, besides those by steps; 0: none.
        sample_every: Steps between sample pictures.
        keep: Checkpoints kept, besides the best.
        alarm_steps: After so many steps an alarm may tell that swapped equals target.
    """

    load: str = setting("", essential=True)
    resume: bool = setting(True, essential=True)
    export: bool = False
    export_formats: tuple[str, ...] = choice((), FORMATS)
    log_dir: str = "logs/runs"
    log_name: str = setting("facedancer", essential=True)
    chkp_dir: str = ""
    log_every: int = ranged(50, low=1)
    save_every: int = ranged(1000, low=1)
    save_minutes: float = ranged(0.0, low=0.0)
    sample_every: int = ranged(1000, low=1)
    keep: int = ranged(3, low=1)
    alarm_steps: int = 5000

    @property
    def folder(self) -> pathlib.Path:
        """Everything of the run lies in it."""
        return pathlib.Path(self.log_dir, self.log_name)


@dataclasses.dataclass(frozen=True)
class ValidationSettings(Checked):
    """Validation.

    Attributes:
        eval_dir: Shards of the validation pairs; best of people that are not trained
            on. Empty: no validation.
        eval_every: Steps between validations.
        eval_pairs: Pairs of the validation.
        eval_arcface_path: Encoder of the validation, best one that is not trained
            with. Empty: the training's.
        eval_model_expface: Keras file of an expression embedder for the validation.
        eval_model_pose: Keras file of a head pose network for the validation.
    """

    eval_dir: str = ""
    eval_every: int = ranged(1000, low=1)
    eval_pairs: int = ranged(200, low=1)
    eval_arcface_path: str = ""
    eval_model_expface: str = ""
    eval_model_pose: str = ""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Settings of `train.py`.

    Attributes:
        data: Data
        system: System and recipe
        networks: Networks that are trained; where empty, the preset decides
        frozen: Networks that only look on
        losses: Losses; where empty, the recipe decides
        adversary: Discriminators; where empty, the recipe decides
        optimisation: Optimisation; where empty, the recipe decides
        pairs: Pairs; where empty, the recipe decides
        devices: Devices and arithmetic
        output: The run
        validation: Validation

    Raises:
        ValueError: If two values do not fit together.
    """

    data: DataSettings = DataSettings()
    system: SystemSettings = SystemSettings()
    networks: NetworkSettings = NetworkSettings()
    frozen: FrozenSettings = FrozenSettings()
    losses: LossSettings = LossSettings()
    adversary: AdversarySettings = AdversarySettings()
    optimisation: OptimisationSettings = OptimisationSettings()
    pairs: PairFlags = PairFlags()
    devices: DeviceSettings = DeviceSettings()
    output: OutputSettings = OutputSettings()
    validation: ValidationSettings = ValidationSettings()

    def __post_init__(self) -> None:
        recipe = self.training_recipe
        if self.frozen.proxy_generator and not recipe.pairs.same_person_ratio:
            raise ValueError(
                "--proxy_generator changes pairs of two photos of one person: give "
                "--same_person_ratio, such as 0.5. Received: 0"
            )

    @property
    def recipe_name(self) -> str:
        """Name of the recipe; of several the first if none was given."""
        return self.system.recipe or next(iter(SYSTEMS[self.system.system].recipes))

    @functools.cached_property
    def training_recipe(self) -> Recipe:
        """The numbers of the training: the recipe's, then those of the flags.

        Raises:
            ValueError: If there is no such recipe, or a value is out of its range.
        """
        system, name = SYSTEMS[self.system.system], self.recipe_name
        if name not in system.recipes:
            raise ValueError(
                f"--recipe must be one of {', '.join(system.recipes)}. "
                f"Received: {name}{did_you_mean(name, system.recipes)}"
            )
        given = given_numbers(system.recipes[name], self, system.name)
        recipe = system.recipes[name].changed(**given)
        known_truth = bool(self.data.triplets or self.frozen.proxy_generator)
        return system.settled(recipe, frozenset(given), known_truth)

    def to_json(self) -> str:
        """Returns the settings by flag as a JSON object."""
        return json.dumps(flat(self), indent=2) + "\n"

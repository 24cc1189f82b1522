"""The settings of the training program; its flags are made from this record."""

from __future__ import annotations

import dataclasses
import json

from facedancer import settings
from facedancer.alignment import Alignment
from facedancer.errors import InputError
from facedancer.models import get_preset
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.train.objective.recipes import Recipe
from facedancer.train.recipe_flags import recipe_of
from facedancer.train.systems import SYSTEMS

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("auto", "one", "mirrored", "multi_worker")
BACKENDS = ("", "tensorflow", "jax")  # empty: what Keras runs on
FORMATS = ("onnx", "litert", "openvino", "saved_model")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Settings of `train.py`. Where the default is empty, the recipe decides.

    Attributes:
        data_dir: Shards to train on: a folder, or a glob pattern.
        eval_dir: Shards of the validation pairs; best of people that are not trained
            on. Empty: no validation.
        arcface_path: File of the identity encoder.
        system: What is trained, a key of `systems.SYSTEMS`: facedancer.
        backend: tensorflow or jax. Empty: what KERAS_BACKEND says, else tensorflow.
        triplets: Shards of triplets with a known truth, mixed among the pairs.
        triplet_ratio: Share of triplets; or one for each part of --triplets.
        proxy_generator: Generator of the same encoder: it swaps the target of pairs of
            two photos of one person to somebody else; the photo is the known truth.
        proxy_ratio: Share of such pairs it does that to.
        recipe: published (the released trainer) or improved.
        preset: Structure of the generator, see `models/families/facedancer/presets.py`.
        image_size: Side of the images in pixels. Empty: of the preset.
        shrink_factor: With which `crop_align` cut the crops, for shards whose manifest
            does not say it, such as those of the original program. Empty: as the
            manifest says, else 1.
        base_width: Channels of the generator at the full size. Empty: of the preset.
        mapping_depth: Layers of the mapping network. Empty: of the preset.
        mapping_size: Units of each of them. Empty: of the preset.
        up_types: Fusion of each skip connection, from the smallest map to the full
            size: no_skip, concat, add, affa, d_affa or do_affa. Empty: of the preset.
        d_base_width: Channels of the discriminator at the full size. Empty: those of
            the generator.
        d_max_width: Most channels of the discriminator. Empty: those of the generator.
        normalise_identity: Let the generator bring identity vectors to one length
            first; published is false. Improved does, for encoders other than
            ArcFace-ResNet50.
        tanh: End the generator in tanh; published is false, a linear output.
        load: Checkpoint to start from: a step, latest or best. Empty: the latest.
        export: Write the generator of --load to the folder export and end.
        export_formats: Further formats of the export: onnx, litert, openvino or
            saved_model.
        resume: Go on from the latest checkpoint of the run, if there is one.
        init_generator: Generator file to fine-tune, published .h5 or own. Its
            structure replaces the preset.
        init_discriminator: Discriminator file that belongs to it.
        log_dir: Folder of the runs.
        log_name: Name of the run; its folder below --log_dir holds everything.
        chkp_dir: Folder of the checkpoints, in a folder of the run's name. Empty: in
            the run's folder.
        steps: Steps of the training.
        batch_size: Pairs per step, over all devices.
        accumulation: Work through each batch in so many parts, to save memory.
        lr: Learning rate; published is 1e-4.
        lr_decay: Factor on it per 100,000 steps; published is 0.97.
        schedule: exponential (published), constant, cosine or thirds.
        a_lambda: Weight of the adversarial loss; published is 1.
        i_lambda: Weight of the identity loss; published is 10.
        i2_lambda: Weight of the identity loss of --second_arcface_path.
        contrast_lambda: Weight of being as far from the target's identity as the
            source is; published is 0.
        r_lambda: Weight of the reconstruction of same pairs; published is 5.
        truth_lambda: Weight of the truth of triplets. Empty: that of --r_lambda.
        p_lambda: Weight of the perceptual loss; published is 0.2.
        c_lambda: Weight of the cycle loss; published is 1.
        ifsr_lambda: Weight of IFSR; published is 1.
        low_lambda: Weight of the difference on an 8x8 grid; published is 0.
        chroma_lambda: Weight of the difference in colour; published is 0.
        outside_lambda: Weight of the difference outside the face; published is 0.
        ifsr_scale: Factor on the IFSR margins; published is 1.2.
        ifsr_margin: IFSR margins, one per block or one for all. Empty: those known.
        ifsr_blocks: Layers of the encoder IFSR compares. Empty: those known.
        ifsr_per_sample: Hinge per sample instead of on the mean of the batch.
        margins_file: File of train/calibrate_margins.py with blocks and margins.
        p_blocks: Layers of the perceptual network. Empty: its default.
        perceptual: Perceptual network: vgg16 (from the folder of Keras), encoder
            (the identity encoder's own maps), none, or a weights file of VGG16 or
            SqueezeNet.
        legacy_perceptual: Feed VGG16 as the original did, without preprocessing.
        second_arcface_path: File of a second identity encoder for the loss.
        adversarial: nonsaturating (published), hinge, lsgan or relativistic.
        real_images: What the discriminator sees as real: source (published) or target.
        r1_gamma: Weight of the R1 penalty, times 2; published is 10.
        r1_every: R1 every so many steps, with the matching weight; published is 1.
        d_lr_factor: Learning rate of the discriminator in units of --lr.
        g_beta_1: Adam's first decay of the generator; published is 0.
        clip_norm: Clip gradients to this norm; 0 does not; published is 0.
        ema: Decay of the averaged generator, which is evaluated and exported; 0 keeps
            none; published is 0.
        warmup_steps: Steps at the start that only reconstruct; published is 0.
        cycle_every: Swap back every n-th sample only; published is 1.
        look: Show the encoder random crops and flips; published is false.
        same_ratio: Share of pairs whose source is the target; published is 0.2.
        same_person_ratio: Share of pairs of two photos of one person, which count as
            same pairs; needs shards with labels, and is dropped without.
        jitter: Colour jitter: legacy (published), per_image or none.
        flip: Mirror photos at random; published is false.
        colour_match: Probability that a photo takes on colours of another one.
        affine: Turn, zoom and shift photos at random: none, faceswap_gan or few_shot.
        motion_blur: Probability that a photo is blurred along a line.
        shuffle: Shuffle the photos.
        cache_mb: Memory for decoded photos.
        on_corrupt: stop at a damaged record, or at the start at a shard that is lost,
            empty, cut or too long; or skip what is not whole, with a warning.
        strategy: one device, mirrored over all GPUs (or --devices), multi_worker from
            TF_CONFIG, or auto: what fits the machine.
        devices: Devices of the mirrored strategy, such as GPU:0 and GPU:1; with jax
            those that share the batch, all by default.
        device_id: GPU to use with the strategy one.
        precision: float32, mixed_bfloat16 or mixed_float16.
        compile_cache: With jax: folder of compiled programs, for the next start.
        xla: Compile with XLA; on CPUs it is slower, and not with mixed_bfloat16.
        seed: Of everything random.
        log_every: Steps between lines of the log.
        save_every: Steps between checkpoints.
        sample_every: Steps between sample pictures.
        eval_every: Steps between validations.
        keep: Checkpoints kept, besides the best.
        eval_pairs: Pairs of the validation.
        eval_arcface_path: Encoder of the validation, best one that is not trained
            with. Empty: the training's.
        eval_model_expface: Keras file of an expression embedder for the validation.
        eval_model_pose: Keras file of a head pose network for the validation.
        alarm_steps: After so many steps an alarm may tell that swapped equals target.

    Raises:
        ValueError: If a value is out of its range.
    """

    HEADINGS = {
        "data_dir": "Data and recipe",
        "preset": "Networks",
        "load": "Where a run starts, and what is exported",
        "log_dir": "The run",
        "lr": "Objective",
        "same_ratio": "Pairs",
        "shuffle": "Reading",
        "strategy": "Devices and arithmetic",
        "log_every": "How often",
        "eval_pairs": "Validation",
    }

    data_dir: str = settings.setting("", essential=True)
    arcface_path: str = settings.setting("", essential=True)
    eval_dir: str = ""
    system: str = "facedancer"
    backend: str = ""
    triplets: str = ""
    triplet_ratio: tuple[float, ...] = (0.3,)
    proxy_generator: str = ""
    proxy_ratio: float | None = None
    recipe: str = "published"
    preset: str = settings.setting("facedancer_c", essential=True)
    image_size: int | None = None
    shrink_factor: float | None = None
    base_width: int | None = None
    mapping_depth: int | None = None
    mapping_size: int | None = None
    up_types: tuple[str, ...] = ()
    d_base_width: int | None = None
    d_max_width: int | None = None
    normalise_identity: bool | None = None
    tanh: bool | None = None
    load: str = settings.setting("", essential=True)
    export: bool = False
    export_formats: tuple[str, ...] = ()
    resume: bool = settings.setting(True, essential=True)
    init_generator: str = ""
    init_discriminator: str = ""
    log_dir: str = "logs/runs"
    log_name: str = settings.setting("facedancer", essential=True)
    chkp_dir: str = ""
    steps: int = settings.setting(500_000, essential=True)
    batch_size: int = settings.setting(10, essential=True)
    accumulation: int = 1
    lr: float | None = None
    lr_decay: float | None = None
    schedule: str | None = None
    a_lambda: float | None = None
    i_lambda: float | None = None
    i2_lambda: float | None = None
    contrast_lambda: float | None = None
    r_lambda: float | None = None
    truth_lambda: float | None = None
    p_lambda: float | None = None
    c_lambda: float | None = None
    ifsr_lambda: float | None = None
    low_lambda: float | None = None
    chroma_lambda: float | None = None
    outside_lambda: float | None = None
    ifsr_scale: float | None = None
    ifsr_margin: tuple[float, ...] = ()
    ifsr_blocks: tuple[str, ...] = ()
    ifsr_per_sample: bool | None = None
    margins_file: str = ""
    p_blocks: tuple[str, ...] = ()
    perceptual: str | None = settings.setting(None, essential=True)
    legacy_perceptual: bool = False
    second_arcface_path: str = ""
    adversarial: str | None = None
    real_images: str | None = None
    r1_gamma: float | None = None
    r1_every: int | None = None
    d_lr_factor: float | None = None
    g_beta_1: float | None = None
    clip_norm: float | None = None
    ema: float | None = None
    warmup_steps: int | None = None
    cycle_every: int | None = None
    look: bool | None = None
    same_ratio: float | None = None
    same_person_ratio: float | None = None
    jitter: str | None = None
    flip: bool | None = None
    colour_match: float = 0.0
    affine: str = "none"
    motion_blur: float = 0.0
    shuffle: bool = True
    cache_mb: int = 256
    on_corrupt: str = "skip"
    strategy: str = settings.setting("auto", essential=True)
    devices: tuple[str, ...] = ()
    device_id: int = 0
    precision: str = "float32"
    compile_cache: str = ""
    xla: bool = False
    seed: int = 0
    log_every: int = 50
    save_every: int = 1000
    sample_every: int = 1000
    eval_every: int = 1000
    keep: int = 3
    eval_pairs: int = 200
    eval_arcface_path: str = ""
    eval_model_expface: str = ""
    eval_model_pose: str = ""
    alarm_steps: int = 5000

    def __post_init__(self):
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ValueError(
                    f"--{name} must be positive. Received: {getattr(self, name)}"
                )
        for name, known in (
            ("precision", PRECISIONS),
            ("strategy", STRATEGIES),
            ("system", tuple(SYSTEMS)),
            ("backend", BACKENDS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"--{name} must be one of {', '.join(filter(None, known))}. "
                    f"Received: {getattr(self, name)}"
                )
        unknown = set(self.export_formats) - set(FORMATS)
        if unknown:
            raise ValueError(
                f"--export_formats must be of {', '.join(FORMATS)}. "
                f"Received: {', '.join(sorted(unknown))}"
            )
        recipe = self.training_recipe()
        if self.proxy_generator and not recipe.pairs.same_person_ratio:
            raise ValueError(
                "--proxy_generator changes pairs of two photos of one person: give "
                "--same_person_ratio, such as 0.5. Received: 0"
            )

    def training_recipe(self) -> Recipe:
        """Returns the numbers of the training: the recipe's, then those of the flags.

        Raises:
            ValueError: If a value is out of its range.
        """
        return recipe_of(self)

    def generator_config(
        self, identity_size: int, encoder: str, aligned: Alignment | None = None
    ) -> GeneratorConfig:
        """Returns the structure of the generator.

        Args:
            identity_size: Length of the encoder's vectors.
            encoder: The encoder's `name_with_hash`.
            aligned: How its crops are aligned; None: as the preset says.

        Raises:
            InputError: If preset and flags do not fit together.
        """
        preset = get_preset(self.preset)
        sizes = preset.mapping_sizes
        if self.mapping_depth is not None or self.mapping_size is not None:
            depth = len(sizes) if self.mapping_depth is None else self.mapping_depth
            sizes = (self.mapping_size or (sizes or (512,))[0],) * depth
        changes = {
            "image_size": self.image_size or preset.image_size,
            "base_width": _chosen(self.base_width, preset.base_width),
            "up_types": self.up_types or preset.up_types,
            "mapping_sizes": sizes,
            "identity_size": identity_size,
            "encoder": encoder,
        }
        if aligned is not None:
            changes |= dataclasses.asdict(aligned)
        if self.up_types:
            changes |= {"stages": 0, "widths": ()}
        improved = self.recipe == "improved"
        changes["normalise_identity"] = _chosen(self.normalise_identity, improved)
        tanh = _chosen(self.tanh, improved)
        changes["output_activation"] = "tanh" if tanh else "linear"
        try:
            return dataclasses.replace(preset, **changes)
        except (ValueError, TypeError) as error:
            raise InputError(str(error)) from None

    def discriminator_config(self, generator: GeneratorConfig) -> DiscriminatorConfig:
        """Returns the structure of the discriminator that goes with a generator.

        Args:
            generator: Structure of the generator.
        """
        return DiscriminatorConfig(
            image_size=generator.image_size,
            base_width=self.d_base_width or generator.base_width,
            max_width=self.d_max_width or generator.max_width,
        )

    def to_json(self) -> str:
        """Returns the settings as a JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def _chosen(given, otherwise):
    return otherwise if given is None else given


_POSITIVE = (
    "steps",
    "batch_size",
    "accumulation",
    "log_every",
    "save_every",
    "sample_every",
    "eval_every",
    "keep",
    "eval_pairs",
)

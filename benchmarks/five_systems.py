"""Trains five systems on the same two people and judges them alike: a table, pictures.

    python benchmarks/five_systems.py --data_dir=duo --clip=ben.mp4 \\
        --judge_path=judge.onnx --faces=4000 --out=five

`--data_dir` holds a folder of photos or clips for each of two people. The last crops of
both, a fifth, are kept for the judging: each judged one of the second person is swapped
to the first, by the same list of pairs for every system, so what a generator is told (a
vector, a number, nothing) makes no difference. Each system sees the same other crops at
the same size until its generator has made as many faces. Everything is done by the
ordinary programs, in processes of their own, and goes on where it was stopped: a folder
a system and seed in `--out`, whose report ends it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import numpy as np

from facedancer import cli
from facedancer.dataset.jobs import report as align_report
from facedancer.errors import InputError
from facedancer.evaluation.inputs import pairs as pair_lists
from facedancer.flags.settings import Checked, choice, ranged, repeated, setting
from facedancer.imaging import images
from facedancer.inference import portable, runtimes
from facedancer.storage import files

_SHRINK = 0.8
_TILE, _BORDER = 128, 3
# Figures of a report, and how the table calls them.
_FIGURES = {
    "id_source": "cosine with A",
    "id_target": "with B",
    "id_nearer": "nearer to A %",
    "pose_net_l2": "pose, degrees",
    "pose_pnp_l2": "pose by landmarks",
    "expr_blendshapes": "expression, blendshapes",
    "expr_landmarks": "expression by landmarks",
    "video_flicker": "flicker",
    "unchanged": "unchanged",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is different about one system.

    Attributes:
        flags: Of its training.
        made: Faces that its generator makes of each row of a batch, cycles apart.
        known: Whose photos `--known_dir` gives the judging: none (it is told a
            vector), both or first.
    """

    flags: tuple[str, ...] = ()
    made: int = 1
    known: str = "none"


PLANS = {
    "facedancer": Plan(
        ("--recipe=improved", "--perceptual=encoder", "--warmup_steps={tenth}")
    ),
    "mobile_fsgan": Plan(("--perceptual=encoder",)),
    # Attention over maps larger than 16 x 16 is for a GPU.
    "faceswap_gan": Plan(
        ("--options=total={steps}", "--structure=attention=16"), made=2, known="first"
    ),
    "conditional_gan": Plan(("--lr=4e-4",), known="both"),
    "swap_them_all_v2": Plan(),
}


@dataclasses.dataclass(frozen=True)
class FiveSettings(Checked):
    """What is trained, and how it is judged.

    Attributes:
        data_dir: A folder of photos or clips for each of two people; sorted by name,
            the second is changed into the first.
        judge_path: Encoder that judges and that nothing was trained with.
        out: Folder of everything that is made.
        clip: A clip of the second person, for flicker; empty: it is left out.
        arcface_path: Encoder of the training; empty: the packaged one.
        systems: Which of the five.
        faces: How many faces each generator makes in its training.
        size: Of the pictures in pixels.
        every: Of the clips, take every n-th frame.
        batch_size: Rows of a batch.
        ema: Decay of the averaged weights, which are judged.
        seeds: Of the trainings; each is a row, and their means are.
        judged: The fraction of each person's photos that is kept for the judging.
        evaluate: Further flags of the judging. May be repeated.
        train: Further flags of all trainings. May be repeated.
        pictures: Photos that each system's row of pictures shows.
    """

    data_dir: str = setting(essential=True)
    judge_path: str = setting(essential=True)
    out: str = setting("five", essential=True)
    clip: str = setting("", essential=True)
    arcface_path: str = ""
    systems: tuple[str, ...] = choice(tuple(PLANS), PLANS)
    faces: int = ranged(4000, low=1, essential=True)
    size: int = ranged(64, low=32)
    every: int = ranged(10, low=1)
    batch_size: int = ranged(8, low=1)
    ema: float = ranged(0.99, low=0.0, high=0.99999)
    seeds: tuple[int, ...] = (0, 1)
    judged: float = ranged(0.2, above=0.0, high=0.9)
    evaluate: tuple[str, ...] = repeated()
    train: tuple[str, ...] = repeated()
    pictures: int = ranged(4, low=1)

    @property
    def folder(self) -> pathlib.Path:
        """`out`, from the root of the file system."""
        return pathlib.Path(self.out).resolve()

    def steps(self, plan: Plan) -> int:
        """Returns after how many steps a generator has made its faces.

        Args:
            plan: Of its system.
        """
        return max(1, round(self.faces / (self.batch_size * plan.made)))


def run(words: Sequence[str], log: pathlib.Path) -> float:
    """Runs a program of the project in the folder of its log; returns its seconds.

    Args:
        words: What follows `facedancer`.
        log: File that all it says is added to.

    Raises:
        InputError: If it fails.
    """
    root = str(pathlib.Path(__file__).resolve().parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    start = time.perf_counter()
    with open(log, "a") as file:
        done = subprocess.run(
            [sys.executable, "-m", "facedancer", *words],
            cwd=log.parent,
            env=os.environ | {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    if done.returncode not in (cli.DONE, cli.PARTIAL):
        raise InputError(f"facedancer {' '.join(words)} failed, see {log}")
    return time.perf_counter() - start


def given(**flags: object) -> list[str]:
    """Returns flags by name, without those that are empty."""
    return [f"--{name}={value}" for name, value in flags.items() if value != ""]


def claim(settings: FiveSettings) -> None:
    """Refuses a folder whose rows were trained or judged in another way.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If it is one.
    """
    free = ("out", "systems", "seeds", "pictures")
    values = {k: v for k, v in dataclasses.asdict(settings).items() if k not in free}
    wanted = json.loads(json.dumps(values))
    path = settings.folder / "settings.json"
    found = json.loads(path.read_text()) if path.exists() else wanted
    if found != wanted:
        names = sorted(k for k in wanted if wanted[k] != found.get(k))
        raise InputError(
            f"{settings.out} holds rows of other values of "
            f"{', '.join('--' + name for name in names)}. Give another --out"
        )
    files.write_atomic(path, (json.dumps(wanted, indent=2) + "\n").encode())


def prepare(settings: FiveSettings) -> list[pair_lists.Pair]:
    """Aligns and shards what is not there yet; returns the pairs that are judged.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If there are not two people.
    """
    folder, log = settings.folder, settings.folder / "prepare.log"
    if not (folder / "pairs.csv").exists():
        words = given(
            data_dir=pathlib.Path(settings.data_dir).resolve(),
            target_dir="aligned",
            im_size=2 * settings.size,
            shrink_factor=_SHRINK,
            every=settings.every,
        )
        run(("align", *words), log)
        _keep_some(settings)
        words = given(data_dir="seen", target_dir="shards", data_name="duo")
        run(("shard", *words, "--num_shards=2"), log)
        pair_lists.write_pairs(folder / "pairs.csv", make_pairs(folder / "judged"))
    return pair_lists.read_pairs(folder / "pairs.csv")


def _keep_some(settings: FiveSettings) -> None:
    """Puts the last crops of each person into `judged`, the others into `seen`."""
    folder = settings.folder
    photos = pair_lists.photos_by_label(folder / "aligned")
    if len(photos) != 2 or min(map(len, photos.values())) < 4:
        raise InputError(
            f"{settings.data_dir} must hold a folder of some photos for each of two "
            f"people. Received: {', '.join(photos)}"
        )
    for name, paths in photos.items():
        kept = len(paths) - max(2, round(settings.judged * len(paths)))
        for part, some in (("seen", paths[:kept]), ("judged", paths[kept:])):
            (folder / part / name).mkdir(parents=True, exist_ok=True)
            for path in some:
                shutil.copy(path, folder / part / name / path.name)
    shutil.copy(folder / "aligned" / align_report.SUMMARY, folder / "seen")


def make_pairs(folder: pathlib.Path) -> list[pair_lists.Pair]:
    """Returns each photo of the second person with one of the first, in turn.

    Args:
        folder: A folder of photos for each of both.
    """
    (first, sources), (second, targets) = sorted(
        pair_lists.photos_by_label(folder).items()
    )
    return [
        pair_lists.Pair(sources[i % len(sources)], target, first, second)
        for i, target in enumerate(targets)
    ]


@dataclasses.dataclass(frozen=True)
class Row:
    """One system, trained from one seed.

    Attributes:
        settings: What the flags say.
        name: Of the system.
        seed: Of the training.
        pairs: What it is judged by.
    """

    settings: FiveSettings
    name: str
    seed: int
    pairs: Sequence[pair_lists.Pair]

    @property
    def plan(self) -> Plan:
        """What is different about the system."""
        return PLANS[self.name]

    @property
    def folder(self) -> pathlib.Path:
        """Where everything of it lies."""
        return self.settings.folder / self.name / f"seed_{self.seed}"

    @property
    def portable(self) -> pathlib.Path:
        """The generator as a file that needs no TensorFlow."""
        return self.folder / "generator.onnx"

    def run(self) -> None:
        """Trains, exports, judges and swaps, whatever is missing of that."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log, words = self.folder / "log.txt", self.training
        if not self.portable.exists():
            run(("train", *words), log)
            run(("train", *words, "--load=latest", "--export"), log)
            run(("convert", str(self.exported()), str(self.portable)), log)
        if not (self.folder / "report" / "report.json").exists():
            run(("evaluate", *self.judging), log)
        for target, picture in self.pictures().items():
            if not picture.exists():
                places = given(target=target, output=picture)
                run(("swap", *places, *self.swapping), log)

    @property
    def training(self) -> list[str]:
        """The flags of the training."""
        told, steps = self.settings, self.settings.steps(self.plan)
        return given(
            system=self.name,
            preset=f"{self.name}_lite_{told.size}",
            data_dir=f"{told.folder}/shards/duo_train*.records",
            batch_size=told.batch_size,
            steps=steps,
            ema=told.ema,
            arcface_path=told.arcface_path,
            sample_every=steps,
            save_minutes=2,
            log_dir="runs",
            log_name="lite",
        ) + [
            f"--seed={self.seed}",
            *(flag.format(steps=steps, tenth=steps // 10) for flag in self.plan.flags),
            *told.train,
        ]

    @property
    def judging(self) -> list[str]:
        """The flags of the judging."""
        root, clip = self.settings.folder, self.settings.clip
        judged, first = root / "judged", self.pairs[0].source_label
        people = {"none": "", "both": judged, "first": judged / first}
        return given(
            facedancer_path=self.portable,
            arcface_path=self.settings.arcface_path,
            judge_path=pathlib.Path(self.settings.judge_path).resolve(),
            pairs_csv=root / "pairs.csv",
            known_dir=people[self.plan.known],
            cache_dir=root / "cache",
            out="report",
            target_video=clip and pathlib.Path(clip).resolve(),
            swap_source=clip and self.pairs[0].source,
        ) + ["--pairs=0", "--aligned", "--studies=none", *self.settings.evaluate]

    @property
    def swapping(self) -> list[str]:
        """The flags of a swap to the first person."""
        told = {"label": self.pairs[0].source_label}
        if self.plan.known == "none":
            encoder = self.settings.arcface_path
            told = {"swap_source": str(self.pairs[0].source), "arcface_path": encoder}
        return given(facedancer_path=self.portable, **told)

    def exported(self) -> pathlib.Path:
        """Returns the exported generator, of two that of the first person.

        Raises:
            InputError: If there is none.
        """
        found = sorted((self.folder / "exports" / "lite").glob("*.keras"))
        if not found:
            raise InputError(f"{self.folder}/exports/lite: no generator in it")
        first = f"_{self.pairs[0].source_label}"
        return next((path for path in found if path.stem.endswith(first)), found[0])

    def pictures(self) -> dict[pathlib.Path, pathlib.Path]:
        """Returns targets, spread evenly over the judged ones, and their results."""
        count = min(self.settings.pictures, len(self.pairs))
        chosen = np.linspace(0, len(self.pairs) - 1, count)
        targets = [self.pairs[round(at)].target for at in chosen]
        return {one: self.folder / "pictures" / f"{one.stem}.png" for one in targets}

    def columns(self) -> dict[str, float]:
        """Returns what the judging found and what the generator costs, by title."""
        text = (self.folder / "report" / "report.json").read_text()
        found = {
            one["key"]: one["estimate"]["value"] for one in json.loads(text)["figures"]
        }
        known = {title: found.get(key) for key, title in _FIGURES.items()}
        measured = {name: value for name, value in known.items() if value is not None}
        return measured | self._costs()

    def _costs(self) -> dict[str, float]:
        # Here, so that a mistyped flag need not wait for Keras.
        from facedancer.models import load_generator

        network = load_generator(self.exported())
        cost, feeds = network.cost(), network.example_inputs(batch=8)
        path = self.portable
        runtime, took = runtimes.OpenVINORuntime(portable.read(path), ("swapped",)), []
        for _ in range(20):
            start = time.perf_counter()
            runtime(feeds)
            took.append(time.perf_counter() - start)
        return {
            "parameters, M": cost.parameters / 1e6,
            "G multiply-accumulates": (cost.macs or 0) / 1e9,
            "file, MB": path.stat().st_size / 1e6,
            "ms a face": 1e3 * min(took) / 8,
        }


def draw(rows: Sequence[Row]) -> np.ndarray:
    """Returns source and targets, and below them the results of each row.

    Args:
        rows: What was trained.
    """
    source, targets = rows[0].pairs[0].source, list(rows[0].pictures())
    paths = [[source, *targets], *([source, *row.pictures().values()] for row in rows)]
    edges = ((0, _BORDER), (0, _BORDER), (0, 0))
    tiles = [[images.resize(images.read_image(p), _TILE) for p in row] for row in paths]
    edged = [[np.pad(one, edges, constant_values=255) for one in row] for row in tiles]
    return np.concatenate([np.concatenate(row, axis=1) for row in edged])


def table(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Returns a Markdown table: means over the seeds and, in brackets, half the range.

    Args:
        rows: By system the columns of each seed.
    """
    titles = list(dict.fromkeys(t for some in rows.values() for t in some[0]))
    lines = [f"| system | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name, some in rows.items():
        cells = []
        for title in titles:
            values = [one[title] for one in some if title in one]
            text = f"{np.mean(values):.3g}" if values else "-"
            cells.append(text + (f" ({np.ptp(values) / 2:.2g})" if values[1:] else ""))
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(settings: FiveSettings) -> int:
    """Runs what is missing, prints the table and returns the exit status.

    Args:
        settings: What the flags say.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    claim(settings)
    pairs = prepare(settings)
    rows = [
        Row(settings, name, seed, pairs)
        for seed in settings.seeds
        for name in settings.systems
    ]
    for row in rows:
        row.run()
    by_system: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        by_system.setdefault(row.name, []).append(row.columns())
    text = table(by_system)
    files.write_atomic(settings.folder / "table.md", text.encode())
    picture = draw(rows[: len(settings.systems)])
    print(text)
    print(images.write_image(settings.folder / "pictures.png", picture))
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, FiveSettings)

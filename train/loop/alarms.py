"""What stops a training or raises an alarm."""

from __future__ import annotations

import numpy as np

COPY_MARGIN = 0.02
COLLAPSED = 0.02
BLIND, BLIND_STEPS = 0.05, 1000
MANY_SKIPS = 30


class NotFiniteError(ArithmeticError):
    """A loss or a gradient became NaN or infinite."""


class Guard:
    """Stops a training at the first value that is not finite.

    A loss scale is found by overflows: steps whose gradients are not finite, which the
    optimiser leaves out. Only `MANY_SKIPS` of them in a row are a fault.
    """

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def check(self, names: list[str], values: np.ndarray, step: int) -> None:
        """Raises an error if a value of a step is not finite; steps come in order.

        Args:
            names: Of the values.
            values: `(values,)`.
            step: The step they belong to.

        Raises:
            NotFiniteError: With the loss and the step.
        """
        found = dict(zip(names, values, strict=True))
        for name in found:
            if not found.get(_skipped(name), 1.0):
                self._taken[name] = step
        wrong = [
            name
            for name, value in found.items()
            if not np.isfinite(value) and not self._is_overflow(name, found, step)
        ]
        if wrong:
            raise NotFiniteError(
                f"step {step}: {', '.join(wrong)} became NaN or infinite. The last "
                "checkpoint is from before and whole. Lower --lr, clip gradients with "
                "--clip_norm=10, or use --precision=float32; then start again"
            )

    def _is_overflow(self, name: str, found: dict[str, float], step: int) -> bool:
        taken = self._taken.setdefault(name, step - 1)
        return bool(found.get(_skipped(name))) and step - taken < MANY_SKIPS


def _skipped(name: str) -> str:
    """Returns what tells whether the step of a gradient's norm was left out."""
    return name.removesuffix("_gradient_norm") + "_skipped"


def alarms(means: dict[str, float], step: int, alarm_steps: int) -> list[str]:
    """Returns what looks wrong in the mean values of an interval.

    Args:
        means: By name, as the step reports them.
        step: Steps taken.
        alarm_steps: From when on the swapped face should differ from the target.
    """
    found = []
    if step >= alarm_steps and "cosine_to_source" in means:
        gain = means["cosine_to_source"] - means["cosine_apart"]
        if gain < COPY_MARGIN:
            found.append(
                "swapped faces are no closer to their sources than random pairs "
                f"(cosine {means['cosine_to_source']:.3f} against "
                f"{means['cosine_apart']:.3f}): the generator copies the target. Raise "
                "--i_lambda, or lower --same_ratio or --c_lambda"
            )
    for name in means:
        if name.startswith("fooled"):
            suffix = name.removeprefix("fooled")
            text = _judgement(means[name], means[f"trusted{suffix}"], step)
            if text:
                found.append(f"the discriminator{suffix.replace('_', ' ')} {text}")
    return found


def _judgement(fooled: float, trusted: float, step: int) -> str:
    """Returns what is wrong with what a discriminator takes for real, or nothing.

    Args:
        fooled: Mean of how real it takes what was made for.
        trusted: The same of what is real.
        step: Steps taken.
    """
    if fooled < COLLAPSED and trusted > 1 - COLLAPSED:
        return (
            "is always right, which teaches the generator nothing. Raise --r1_gamma or "
            "lower --d_lr_factor"
        )
    if abs(fooled - trusted) < 1e-4:
        return (
            "tells nothing apart: it has collapsed. Lower --r1_gamma, or give it "
            "another --d_lr_factor"
        )
    if step >= BLIND_STEPS and trusted - fooled < BLIND:
        return (
            f"takes what is made for as real ({fooled:.2f}) as what is real "
            f"({trusted:.2f}). Where samples do not look real, it is blind: raise "
            "--d_lr_factor, show it images as they are (no --diff_augment) or, in "
            "facedancer, by features that know faces (--projected_lambda)"
        )
    return ""

"""Settings of the page; reading them needs neither gradio nor a network library."""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, ranged, setting
from facedancer.video_swap.settings import NetworkSettings

MAX_UPLOAD = 2048  # MB of one file; larger ones are named by their path


@dataclasses.dataclass(frozen=True)
class UiSettings(Checked):
    """Settings of the program.

    Attributes:
        port: Of 127.0.0.1, where the page is; 0: any that is free.
        browser: Open the page in the browser.
        networks: Networks, and what runs them.
    """

    port: int = ranged(7860, low=0, high=65535, essential=True)
    browser: bool = setting(False, essential=True)
    networks: NetworkSettings = NetworkSettings()

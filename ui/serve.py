"""A page to click: swap photos and clips, verify files, look at reports and trainings.

    facedancer ui

It is served to this machine only (127.0.0.1), loads nothing from outside, and removes
what was uploaded when the page is closed or the program ends (Ctrl-C).
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import threading
from typing import TYPE_CHECKING

from facedancer import cli
from facedancer.errors import InputError
from facedancer.ui.settings import MAX_UPLOAD, UiSettings

if TYPE_CHECKING:
    from facedancer.ui.session.sessions import Sessions


def main(settings: UiSettings) -> int:
    """Serves the page until Ctrl-C; returns the exit status.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If gradio is not installed, or the port is taken.
    """
    if importlib.util.find_spec("gradio") is None:
        raise InputError(
            'The page needs gradio. Install it with: pip install "facedancer[ui]"'
        )
    from facedancer.ui.session.sessions import Sessions

    sessions = Sessions(settings.networks)
    # Before gradio is imported: where it puts uploads, and what is shown of a session.
    os.environ["GRADIO_TEMP_DIR"] = str(sessions.folder)
    try:
        return _serve(settings, sessions)
    finally:
        sessions.close()


def _serve(settings: UiSettings, sessions: Sessions) -> int:
    from starlette.middleware import Middleware

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it asks this server

    from facedancer.ui.page import build, events, guard

    blocks = build.page(events.Events(sessions))
    try:
        _, address, _ = blocks.queue(default_concurrency_limit=2).launch(
            server_name=guard.HOST,
            server_port=settings.port or _free_port(guard.HOST),
            inbrowser=settings.browser,
            share=False,
            prevent_thread_lock=True,
            quiet=True,
            footer_links=[],
            run_history=False,
            app_kwargs={"middleware": [Middleware(guard.Guard)]},
            max_file_size=MAX_UPLOAD * 2**20,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            theme=build.theme(),
            css=build.CSS,
        )
    except OSError:
        raise InputError(
            f"Port {settings.port} of {guard.HOST} is taken: perhaps the page is "
            "open already. Take another with --port, or --port=0 for any"
        ) from None
    print(f"The page: {address} (Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()  # until Ctrl-C or SIGTERM
    finally:
        blocks.close(verbose=False)
    return cli.DONE


def _free_port(host: str) -> int:
    with socket.socket() as one:
        one.bind((host, 0))
        return one.getsockname()[1]


if __name__ == "__main__":
    cli.run(main, UiSettings)

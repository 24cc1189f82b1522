"""Libraries neither send statistics nor leave files in the home folder.

`facedancer/__init__.py` calls this before anything else is imported, in every process:
OpenVINO and ONNX Runtime report their import, Gradio its pages, and Keras writes
`~/.keras/keras.json`, as soon as they are imported, whoever does it. A user's own
settings files are read as ever.
"""

from __future__ import annotations

import logging
import os
import sys
import types

# A folder that cannot be made: who finds no place for a file goes without.
NOWHERE = os.path.join(os.devnull, "facedancer")


def silence_libraries() -> None:
    """Keeps libraries from reporting, Keras and Matplotlib from the home.

    What is imported already is not changed.
    """
    # With None in its place the import fails, and OpenVINO takes its own stand-in that
    # sends nothing (`openvino/tools/ovc/telemetry_stub.py`).
    nothing: types.ModuleType = None  # type: ignore[assignment]  # as imports read it
    sys.modules["openvino_telemetry"] = nothing
    home = os.path.expanduser("~")
    if not os.path.exists(os.path.join(home, ".keras", "keras.json")):
        os.environ.setdefault("KERAS_HOME", NOWHERE)
    if not all(map(os.path.isdir, _matplotlib_folders(home))):
        os.environ.setdefault("MPLCONFIGDIR", NOWHERE)
        logging.getLogger("matplotlib").addFilter(_is_news)
    # Gradio asks for news of itself, and tells of each page; its helpers as well.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # From 1.32 on it keeps a number of the machine and what it will send in the cache,
    # and sends it by native code, which no hook of Python sees.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def _matplotlib_folders(home: str) -> tuple[str, ...]:
    """Returns where Matplotlib keeps settings and its list of fonts."""
    if not sys.platform.startswith(("linux", "freebsd")):
        return (os.path.join(home, ".matplotlib"),)
    bases = (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"))
    return tuple(
        os.path.join(os.environ.get(name) or os.path.join(home, folder), "matplotlib")
        for name, folder in bases
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Drops the advice to give Matplotlib a folder: it makes a temporary one."""
    return NOWHERE not in record.getMessage()

"""The one OpenVINO core of this process.

Each core gives signals a stack of its own while it lives. Of two, the one that ends
last puts back the other's, which is gone: the next Ctrl-C then ends the process with a
segmentation fault (OpenVINO 2026.4, `SigAltStackSetup` of its CPU plugin). So there is
one core, and it lives as long as the process.
"""

from __future__ import annotations

import functools
import os
import typing

if typing.TYPE_CHECKING:
    import openvino

CACHE = "FACEDANCER_CACHE"  # environment variable: folder of converted networks


@functools.cache
def core() -> openvino.Core:
    """Returns the `openvino.Core` that everything here compiles its networks with.

    Compiled networks are kept where the environment variable `CACHE` names a folder,
    and nowhere else: without being asked nothing is left on the disk.

    Raises:
        OSError: If that folder cannot be made.
    """
    import openvino

    core = openvino.Core()
    if os.environ.get(CACHE):
        folder = os.path.join(os.environ[CACHE], "compiled")
        os.makedirs(folder, exist_ok=True)
        if os.access(folder, os.W_OK):
            core.set_property({"CACHE_DIR": folder})
    return core

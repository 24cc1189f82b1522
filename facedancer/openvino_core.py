"""The one OpenVINO core of this process.

Each core gives signals a stack of its own while it lives. Of two, the one that ends
last puts back the other's, which is gone: the next Ctrl-C then ends the process with a
segmentation fault (OpenVINO 2026.4, `SigAltStackSetup` of its CPU plugin). So there is
one core, and it lives as long as the process.
"""

from __future__ import annotations

import functools
import typing

if typing.TYPE_CHECKING:
    import openvino


@functools.cache
def core() -> openvino.Core:
    """Returns the `openvino.Core` that everything here compiles its networks with."""
    import openvino

    return openvino.Core()

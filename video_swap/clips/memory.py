"""Keeps memory that was freed for the next picture.

The allocator of glibc gives large arrays back to the system as soon as they are freed.
A clip asks for the same sizes again with every frame, and getting pages anew, one fault
after the other, took a quarter of the processor time of a mark.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

_TRIM, _MAP = -1, -3  # parameters of mallopt(3)
_KEPT = 128 << 20  # bytes at the end of a heap that are not given back
_LARGE = 32 << 20  # bytes from which an array lies outside of the heap: its maximum


def _glibc() -> ctypes.CDLL | None:
    """Returns the C library, None where it has no such parameters."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    known = all(hasattr(library, name) for name in ("mallopt", "malloc_trim"))
    return library if known else None


@contextlib.contextmanager
def kept() -> Iterator[bool]:
    """A block in which freed memory is kept; at its end it goes back to the system.

    What was set stays so: the library finds its own limits no more once some were set,
    and those that it starts from would be worse than these.

    Yields:
        Whether this C library can do so.
    """
    library = _glibc()
    if library is None:
        yield False
        return
    library.mallopt(_MAP, _LARGE)
    library.mallopt(_TRIM, _KEPT)
    try:
        yield True
    finally:
        library.malloc_trim(ctypes.c_size_t(0))

"""Keeps the priority of the process as it is, whatever a library makes of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def kept_priority() -> Iterator[None]:
    """A block after which all threads are scheduled as this one was before it.

    The encoder SVT-AV1, run by root as in most containers, makes the thread that opens
    it and its own threads real-time threads of the highest priority, which leaves the
    machine no time for anything else.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in os.listdir("/proc/self/task") if os.path.isdir("/proc") else ():
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                if os.sched_getscheduler(int(thread)) != policy:
                    os.sched_setscheduler(int(thread), policy, parameters)

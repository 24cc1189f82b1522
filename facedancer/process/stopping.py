"""Being told to end: Ctrl-C, SIGTERM and SIGHUP end a program in the same good order.

All of them raise `KeyboardInterrupt` or its like in the main thread, so that what a
block cleans up at Ctrl-C it cleans up always.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ONCE = 1.0  # seconds in which several signals are one: a group and each of it is told
_AGAIN = 0.01  # seconds after which a lost exception is raised once more
_received: list[tuple[int, float]] = []


class StoppedBySignal(KeyboardInterrupt):
    """What SIGTERM and SIGHUP raise."""


def status() -> int:
    """Returns the exit status of a program that was told to end.

    As shells count it: 128 and the signal's number; 130 for Ctrl-C, 143 for SIGTERM.
    """
    return 128 + int(_received[0][0] if _received else signal.SIGINT)


def word() -> str:
    """Returns what a program says that was told to end."""
    return "Interrupted." if status() == 128 + signal.SIGINT else "Terminated."


def note(number: int) -> bool:
    """Notes that one of `SIGNALS` came; returns whether it says something new.

    Args:
        number: Of the signal.
    """
    now = time.monotonic()
    new = not _received or now - _received[-1][1] > _ONCE
    if new:
        _received.append((number, now))
    return new


def _raise(number: int, frame: types.FrameType | None) -> None:
    if note(number):
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise StoppedBySignal(signal.Signals(number).name)


def listen() -> None:
    """Lets SIGTERM and SIGHUP raise `StoppedBySignal` from now on, Ctrl-C as ever.

    What they raise where Python drops exceptions (garbage collection, callbacks of
    native code) is raised again right after. A signal that is ignored (`nohup`) stays
    so. Only the main thread can do this; in another one nothing is changed.
    """
    if not _in_main_thread():
        return
    for number in SIGNALS:
        usual = (signal.SIG_DFL, signal.default_int_handler)
        if signal.getsignal(number) in usual:
            signal.signal(number, _raise)
    if not isinstance(sys.unraisablehook, _Unraisable):
        sys.unraisablehook = _Unraisable(sys.unraisablehook)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class _Unraisable:
    """Is told of dropped exceptions; being told to end is not dropped."""

    def __init__(self, others: Callable[[sys.UnraisableHookArgs], object]) -> None:
        self.others = others

    def __call__(self, dropped: sys.UnraisableHookArgs) -> None:
        error = dropped.exc_value
        if not isinstance(error, KeyboardInterrupt) or not _in_main_thread():
            self.others(dropped)
            return

        def again(number: int, frame: types.FrameType | None) -> None:
            signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
            raise type(error)(*error.args)

        before = signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Lets the block run to its end before Ctrl-C, SIGTERM and SIGHUP have an effect.

    For native code that calls back into Python and cannot pass on what is raised there:
    it takes it for a failure of its own, or aborts. Only the main thread sees signals;
    in another one nothing is changed.
    """
    if not _in_main_thread():
        yield
        return
    waiting: list[int] = []
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    usual = {int(n): handler for n, handler in handlers.items() if callable(handler)}
    for number in usual:
        signal.signal(number, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for number in waiting:
            usual[number](number, None)


def is_interrupt(error: BaseException | None) -> bool:
    """Returns whether being told to end is what ended the work.

    Where Python is called from native code, as OpenVINO does while it converts a model,
    `KeyboardInterrupt` comes out as the cause of another error or in its text only.

    Args:
        error: What was raised, None for nothing.
    """
    names = (KeyboardInterrupt.__name__, StoppedBySignal.__name__)
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        if any(name in str(error) for name in names):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Keeps signals waiting while the block runs, also for processes begun in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def release() -> None:
    """Lets signals through in a process that was begun while they were `held`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

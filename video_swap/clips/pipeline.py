"""Stages side by side: each in its own thread, with a bounded queue between."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import signal
import threading
import types
from collections.abc import Generator, Iterable, Iterator
from concurrent import futures
from typing import Any, TypeVar

from facedancer.process import stopping

Item = TypeVar("Item")
_END = object()


def prefetch(items: Iterator[Item], size: int) -> Generator[Item]:
    """Yields the items of another iterator, which runs ahead in a thread.

    An error of the other iterator is raised here at its place. When this iterator is
    closed or fails, the other one is stopped and closed too, and its thread has ended
    before that returns, so a chain of stages never hangs.

    Args:
        items: A generator that runs ahead.
        size: How many items may wait; their memory is what running ahead costs.
    """
    waiting: queue.Queue = queue.Queue(max(1, size))
    stopped = threading.Event()
    with futures.ThreadPoolExecutor(1, thread_name_prefix="stage") as pool:
        work = pool.submit(_fill, items, waiting, stopped)
        try:
            while (item := waiting.get()) is not _END:
                yield item
            work.result()  # raises what the other iterator raised
        finally:
            stopped.set()


def _fill(items: Any, waiting: queue.Queue, stopped: threading.Event) -> None:
    try:
        with contextlib.closing(items):
            for item in items:
                if not _put(waiting, item, stopped):
                    return
    finally:
        _put(waiting, _END, stopped)


def _put(waiting: queue.Queue, item: object, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False


@dataclasses.dataclass
class Stop:
    """What Ctrl-C, or SIGTERM, asked for.

    Attributes:
        asked: Whether it came.
        cut: Whether items were left out for it; set by who leaves them out.
    """

    asked: bool = False
    cut: bool = False


@contextlib.contextmanager
def interruptible(gently: bool) -> Iterator[Stop]:
    """Yields a `Stop` that the first Ctrl-C sets, so that work can end in good order.

    A second Ctrl-C raises `KeyboardInterrupt` as ever. SIGTERM and SIGHUP count like
    Ctrl-C where `stopping.listen` made them raise. Only the main thread sees signals;
    in another one nothing is changed.

    Args:
        gently: Whether to do so; without, the first Ctrl-C raises too.
    """
    stop = Stop()
    if not gently or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: types.FrameType | None) -> None:
        new = stopping.note(number)
        if new or number == signal.SIGINT:
            stop.asked = True
            put_back()

    before = {
        number: signal.signal(number, ask)
        for number in stopping.SIGNALS
        if number == signal.SIGINT or callable(signal.getsignal(number))
    }

    def put_back() -> None:
        for number, handler in before.items():
            if handler is None:  # a native library's, which Python cannot give back
                handler = signal.default_int_handler
            signal.signal(number, handler)

    try:
        yield stop
    finally:
        put_back()


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yields lists of up to `size` items.

    Args:
        items: What to group.
        size: Length of each list but the last.
    """
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) >= size:
            yield group
            group = []
    if group:
        yield group

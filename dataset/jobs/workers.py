"""Tasks on several processes, where a process that dies does not lose the rest.

A worker ends when the run does, however that ends: each holds one end of a pipe whose
other end is the run's alone. When that is closed, by an error, by a signal or because
the run was killed, the task at hand is broken off and cleans up after itself.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
import types
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any

from facedancer.process import stopping

DIED = "the worker process died"
_PATIENCE = 5.0  # seconds a task that is broken off may take for cleaning up


def run_tasks(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    num_workers: int,
    prepare: Callable[..., None] | None = None,
    prepare_args: tuple = (),
) -> Iterator[tuple[Any, Any, str]]:
    """Yields `(task, result, why it failed or "")` in the order tasks are finished.

    A task during which a worker dies is tried once more, alone. If the worker dies
    again, the task has failed with `DIED`, and the others go on in new processes.

    Args:
        function: What a worker calls; it and the tasks must be importable by name or
            picklable. An exception it raises ends the run.
        tasks: Read lazily, a few ahead of the workers.
        num_workers: Processes, started afresh (spawn). 1 works in this process.
        prepare: Called once in each worker before its first task.
        prepare_args: Its arguments.
    """
    if num_workers <= 1:
        if prepare:
            prepare(*prepare_args)
        for task in tasks:
            yield task, function(task), ""
        return
    tasks = iter(tasks)
    more = True
    while more:
        suspects: list[Any] = []
        with _pool(num_workers, prepare, prepare_args) as pool:
            more = yield from _run_until_broken(
                pool, function, tasks, 3 * num_workers, suspects
            )
        for task in suspects:
            yield _run_alone(function, task, prepare, prepare_args)


def run_in_threads(
    function: Callable[[Any], Any], tasks: Iterable[Any], num_threads: int
) -> Iterator[tuple[Any, Any, str]]:
    """Yields what `run_tasks` does, in the order of the tasks, from this process.

    For tasks that wait for files or work outside the interpreter's lock. An error
    ends the run once the tasks that were begun are finished.

    Args:
        function: What a thread calls.
        tasks: Read lazily, a few ahead of the threads.
        num_threads: Threads.
    """
    tasks = iter(tasks)
    running: collections.deque = collections.deque()
    with futures.ThreadPoolExecutor(num_threads) as pool:
        try:
            while True:
                for task in itertools.islice(tasks, 2 * num_threads - len(running)):
                    running.append((task, pool.submit(function, task)))
                if not running:
                    return
                task, future = running.popleft()
                yield task, future.result(), ""
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _pool(
    num_workers: int, prepare: Callable[..., None] | None, prepare_args: tuple
) -> Iterator[futures.ProcessPoolExecutor]:
    """Yields a pool of workers; when the block fails, their work is broken off."""
    ours, theirs = multiprocessing.Pipe()
    pool = futures.ProcessPoolExecutor(
        num_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(theirs, prepare, prepare_args),
    )
    try:
        yield pool
        pool.shutdown()
    finally:
        ours.close()
        pool.shutdown(cancel_futures=True)
        theirs.close()


_at_work = False  # in a worker: whether it has a task, which can be broken off


def _begin(
    run: connection.Connection, prepare: Callable[..., None] | None, prepare_args: tuple
) -> None:
    """Makes a new process a worker: it ends with the run, and signals end it alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal it goes to the run
    signal.signal(signal.SIGTERM, _break_off)
    stopping.release()
    threading.Thread(target=_watch, args=(run,), daemon=True).start()
    if prepare:
        prepare(*prepare_args)


def _watch(run: connection.Connection) -> None:
    """Waits for the end of the run, then ends this process."""
    with contextlib.suppress(EOFError, OSError):
        run.recv()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(128 + signal.SIGTERM)


def _break_off(number: int, frame: types.FrameType | None) -> None:
    if not _at_work:
        os._exit(128 + number)
    raise stopping.StoppedBySignal(signal.Signals(number).name)


def _work(function: Callable[[Any], Any], task: Any) -> Any:
    """Does one task in a worker; one that is broken off ends the worker with it."""
    global _at_work
    try:
        _at_work = True
        return function(task)
    except stopping.StoppedBySignal:
        os._exit(128 + signal.SIGTERM)
    finally:
        _at_work = False


def _submit(
    pool: futures.ProcessPoolExecutor, function: Callable[[Any], Any], task: Any
) -> futures.Future:
    with stopping.held():  # it may begin a process, which then takes over
        return pool.submit(_work, function, task)


def _run_until_broken(
    pool: futures.ProcessPoolExecutor,
    function: Callable[[Any], Any],
    tasks: Iterator[Any],
    ahead: int,
    suspects: list[Any],
) -> Generator[tuple[Any, Any, str], None, bool]:
    """Yields results; returns True if the pool broke, its open tasks in `suspects`."""
    running: dict[futures.Future, Any] = {}
    try:
        while True:
            room = ahead - len(running)
            for task in itertools.islice(tasks, room):
                suspects.append(task)  # should the pool refuse it
                running[_submit(pool, function, task)] = suspects.pop()
            if not running:
                return False
            done, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
            for future in done:
                result = future.result()
                yield running.pop(future), result, ""
    except BrokenProcessPool:
        finished, open_tasks = _sort_out(running)
        yield from finished
        suspects.extend(open_tasks)
        return True


def _sort_out(running: dict) -> tuple[list, collections.deque]:
    """Separates what was finished before the pool broke from what was not."""
    finished: list[tuple[Any, Any, str]] = []
    open_tasks: collections.deque[Any] = collections.deque()
    for future, task in running.items():
        if future.done() and future.exception() is None:
            finished.append((task, future.result(), ""))
        else:
            open_tasks.append(task)
    return finished, open_tasks


def _run_alone(
    function: Callable[[Any], Any],
    task: Any,
    prepare: Callable[..., None] | None,
    prepare_args: tuple,
) -> tuple[Any, Any, str]:
    with _pool(1, prepare, prepare_args) as pool:
        try:
            return task, _submit(pool, function, task).result(), ""
        except BrokenProcessPool:
            return task, None, DIED

"""Tasks on several processes, where a process that dies does not lose the rest."""

from __future__ import annotations

import collections
import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from typing import Any

DIED = "the worker process died"


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


def _pool(num_workers, prepare, prepare_args) -> futures.ProcessPoolExecutor:
    return futures.ProcessPoolExecutor(
        num_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=prepare,
        initargs=prepare_args,
    )


def _run_until_broken(pool, function, tasks, ahead, suspects):
    """Yields results; returns True if the pool broke, its open tasks in `suspects`."""
    running: dict[futures.Future, Any] = {}
    try:
        while True:
            room = ahead - len(running)
            for task in itertools.islice(tasks, room):
                suspects.append(task)  # should the pool refuse it
                running[pool.submit(function, task)] = suspects.pop()
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
    finished, open_tasks = [], collections.deque()
    for future, task in running.items():
        if future.done() and future.exception() is None:
            finished.append((task, future.result(), ""))
        else:
            open_tasks.append(task)
    return finished, open_tasks


def _run_alone(function, task, prepare, prepare_args) -> tuple[Any, Any, str]:
    with _pool(1, prepare, prepare_args) as pool:
        try:
            return task, pool.submit(function, task).result(), ""
        except BrokenProcessPool:
            return task, None, DIED

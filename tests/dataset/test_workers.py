"""Tests of tasks on several threads."""

import threading

from facedancer.dataset.jobs import workers
from facedancer.errors import InputError
from tests import testing


class RunInThreadsTest(testing.TestCase):
    def test_results_in_the_order_of_the_tasks(self):
        """The first task waits for the second: both run at the same time."""
        second = threading.Event()

        def work(task):
            if task == 1:
                second.set()
            return task * 10 if second.wait(10) else None

        found = list(workers.run_in_threads(work, range(7), 2))
        self.assertEqual(found, [(n, 10 * n, "") for n in range(7)])

    def test_tasks_are_read_a_few_ahead(self):
        read = []
        tasks = (read.append(n) or n for n in range(1000))
        results = workers.run_in_threads(lambda task: task, tasks, 2)
        next(results)
        self.assertLess(len(read), 9)
        results.close()
        self.assertLess(len(read), 9)

    def test_an_error_ends_the_run(self):
        done = []

        def work(task):
            if task == 3:
                raise InputError("three")
            done.append(task)

        with self.assertRaisesRegex(InputError, "three"):
            list(workers.run_in_threads(work, range(1000), 2))
        self.assertLess(len(done), 20)

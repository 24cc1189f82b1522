"""Gives every test run two logical CPUs, so that distribution can be tested."""

import signal

import pytest


def pytest_configure(config):
    """Sets the devices where tests run; a process that only hands them out has none."""
    runs = hasattr(config, "workerinput") or not config.getoption("numprocesses", 0)
    if runs:
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )


@pytest.fixture(autouse=True)
def ctrl_c():
    """Lets Ctrl-C raise, whatever a shell (in the background) or library made of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if before is not None:
        signal.signal(signal.SIGINT, before)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What is large is not slow, too: a large class may inherit slow tests."""
    for item in items:
        if item.get_closest_marker("large"):
            item.own_markers = [one for one in item.own_markers if one.name != "slow"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Escapes bytes of odd file names, which cannot go from process to process."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
    return report

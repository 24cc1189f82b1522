"""A real Chromium at the page, and the page's server with an eye on what it sends."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Generator
from typing import Any

from tests.facedancer import recorder

PHONE, DESKTOP = (390, 844), (1280, 900)
_WAIT = 120.0  # seconds until something must have happened, on a busy machine


def missing() -> str:
    """Returns what is not installed here, empty if all is there."""
    for name in ("gradio", "selenium"):
        try:
            __import__(name)
        except ImportError:
            return f"{name} is not installed"
    for name in ("chromium", "chromedriver"):
        if not shutil.which(name):
            return f"{name} is not installed (Debian: chromium, chromium-driver)"
    return ""


class Server:
    """`facedancer ui` in a process of its own.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir()
        environment = recorder.environment(folder)
        self._log = open(folder / "output", "w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "facedancer", "ui", "--port=0"],
            env=environment | {"TMPDIR": str(self.temporary)},
            cwd=folder / "work",
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        found = until(lambda: re.search(r"The page: (\S+)", self.output))
        self.address = found[1]

    @property
    def output(self) -> str:
        """What it wrote up to now."""
        assert self.process.poll() is None, (self.folder / "output").read_text()
        return (self.folder / "output").read_text()

    @property
    def pages(self) -> list[pathlib.Path]:
        """Folders of open pages."""
        return list(self.temporary.glob("facedancer-ui-*/page-*"))

    @property
    def uploads(self) -> list[pathlib.Path]:
        """Files that lie in no page's folder."""
        found = self.temporary.glob("facedancer-ui-*/**/*")
        return [
            path
            for path in found
            if path.is_file()
            and path.name != ".lock"  # says that the server is alive
            and path.stat().st_size  # gradio leaves empty ones
            and not any(p in path.parents for p in self.pages)
        ]

    def close(self) -> recorder.Recorded:
        """Ends it as Ctrl-C does; returns what it did."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        status = self.process.wait(60)
        self._log.close()
        output = (self.folder / "output").read_text()
        return recorder.look(self.folder, status, output)


class Browser:
    """A window of Chromium, which shows one page after the other."""

    def __init__(self) -> None:
        if reason := missing():
            raise unittest.SkipTest(reason)
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        self._profile = tempfile.TemporaryDirectory()
        self.downloads = pathlib.Path(self._profile.name, "downloads")
        self.downloads.mkdir()
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for word in (
            "--headless=new",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            f"--user-data-dir={self._profile.name}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ):
            options.add_argument(word)
        downloads = {"download.default_directory": str(self.downloads)}
        options.add_experimental_option("prefs", downloads)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        service = Service(shutil.which("chromedriver"))
        self.driver: Any = webdriver.Chrome(options=options, service=service)
        self.address = ""

    @contextlib.contextmanager
    def at(self, address: str, size: tuple[int, int] = DESKTOP) -> Generator[Browser]:
        """Yields this with a page that was just opened, and leaves the page.

        Args:
            address: Of the page.
            size: Of the window, in pixels.
        """
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": size[0],
                "height": size[1],
                "deviceScaleFactor": 1,
                "mobile": size[0] < 600,
            },
        )
        self.address = address
        self.driver.get_log("performance")  # what came before is another page's
        for path in self.downloads.iterdir():
            path.unlink()
        try:
            self.driver.get(address)
            self.find("#swap")
            yield self
        finally:
            self.driver.get("about:blank")

    def close(self) -> None:
        """Ends Chromium."""
        self.driver.quit()
        self._profile.cleanup()

    def all(self, css: str) -> list[Any]:
        """Returns all elements of a CSS selector."""
        return self.driver.find_elements("css selector", css)

    def find(self, css: str) -> Any:
        """Waits for an element of a CSS selector that can be seen, and returns it."""
        return until(
            lambda: next((one for one in self.all(css) if one.is_displayed()), None),
            css,
        )

    def click(self, css: str) -> None:
        """Clicks what a CSS selector finds."""
        self._click(self.find(css))

    def click_text(self, css: str, text: str) -> None:
        """Clicks the element of a selector that shows some text."""
        self._click(
            until(
                lambda: next((o for o in self.all(css) if text in o.text), None), text
            )
        )

    def _click(self, element: Any) -> None:
        centre = "arguments[0].scrollIntoView({block: 'center'})"
        self.driver.execute_script(centre, element)
        time.sleep(0.3)
        element.click()

    def upload(self, css: str, *paths: pathlib.Path) -> None:
        """Chooses files, as a click and a dialogue would."""
        (field,) = until(lambda: self.all(f"{css} input[type=file]"), css)
        field.send_keys("\n".join(map(str, paths)))

    def type(self, css: str, text: str) -> None:
        """Types a line and Enter."""
        self.find(f"{css} input, {css} textarea").send_keys(text + "\n")

    def says(self, css: str, text: str) -> str:
        """Waits until an element shows some text; returns all it shows."""

        def shown() -> str:
            return next((o.text for o in self.all(css) if text in o.text), "")

        return until(shown, f"{css}: {text}")

    def screenshot(self, path: pathlib.Path) -> pathlib.Path:
        """Writes the whole page as it is seen."""
        height = self.driver.execute_script("return document.body.scrollHeight")
        width = self.driver.execute_script("return window.innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        command = {"captureBeyondViewport": True, "clip": clip}
        import base64

        made = self.driver.execute_cdp_cmd("Page.captureScreenshot", command)
        path.write_bytes(base64.b64decode(made["data"]))
        return path

    def wider_than_window(self) -> int:
        """Returns by how many pixels the page is wider than the window."""
        words = "return document.documentElement.scrollWidth - window.innerWidth"
        return self.driver.execute_script(words)

    def asked_elsewhere(self) -> list[str]:
        """Returns what the page asked for that does not come from its server."""
        found = []
        for line in self.driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        own = (self.address, "data:", "blob:", "chrome:", "about:", "chrome-error:")
        return [url for url in found if not url.startswith(own)]


def until(look: Callable[[], Any], what: str = "it", seconds: float = _WAIT) -> Any:
    """Waits until something is found, and returns it.

    Args:
        look: Returns it, or what is false.
        what: Its name, for the message.
        seconds: How long.
    """
    from selenium.common.exceptions import StaleElementReferenceException

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except StaleElementReferenceException:
            pass  # drawn anew meanwhile
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come within {seconds:.0f} s")

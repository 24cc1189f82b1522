"""A person's way through the page, in a real Chromium."""

import contextlib
import pathlib
import tempfile

import numpy as np
import pytest

from facedancer.imaging import images, sample_photos
from facedancer.video_swap.clips import examining
from tests import testing
from tests.ui import browser

pytestmark = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)


@pytest.fixture(scope="module")
def server(folder):
    running = browser.Server(folder)
    yield running
    running.close()


@pytest.fixture(scope="module")
def chromium():
    window = browser.Browser()
    yield window
    window.close()


@pytest.fixture(scope="module")
def group(folder):
    both = [sample_photos.read(name)[:512] for name in ("collins", "hopper")]
    return images.write_image(folder / "group.jpg", np.concatenate(both, axis=1))


def ready(page, source, target):
    """Chooses a source by its path and uploads a target."""
    page.type("#source-path", str(source))
    page.says("#sources", pathlib.Path(source).name)
    page.upload("#target-upload", target)
    page.says("#people", "1: ")


def agree(page):
    page.click("#agree input")
    browser.until(lambda: not any(o.is_displayed() for o in page.all("#agree")))


@pytest.mark.slow
@pytest.mark.parametrize("size", [browser.DESKTOP, browser.PHONE], ids=str)
def test_photo(chromium, server, group, folder, size):
    with chromium.at(server.address, size) as page:
        ready(page, sample_photos.path("hopper"), group)
        page.click("#swap")
        page.says("body", "Read the sentence about consent")
        agree(page)
        page.click_text("#people button", "2: ")
        page.click_text("#becomes label", "stays as it is")
        page.says("#people", "2: stays as it is")
        page.click("#preview")
        page.find("#after img")
        page.click("#swap")
        said = page.says("#said", "verdict: signed here and unaltered")
        assert "1 of 2 faces were swapped" in said
        page.find("#original img")
        page.find("#result img")
        page.click("#download")
        (path,) = browser.until(lambda: list(page.downloads.glob("*_swapped.png")))
        assert examining.status_of(examining.examine(str(path))) in (
            0,
            examining.UNKNOWN,
        )
        check_changed(images.read_image(path), images.read_image(group))
        assert page.wider_than_window() <= 0
        assert page.asked_elsewhere() == []
        page.screenshot(folder / f"photo_{size[0]}.png")
    browser.until(lambda: not server.pages, "the end of the page's folder")
    assert not server.uploads


def check_changed(after, before):
    """The left face changed, the right one did not."""
    change = np.abs(after.astype(int) - before).mean(axis=2)
    assert change[100:400, 100:400].max() > 40
    assert change[:, 512:].mean() < 3  # the mark


@pytest.mark.slow
def test_what_is_no_image_gets_a_sentence(chromium, server, folder):
    text = folder / "notes.jpg"
    text.write_text("not a picture")
    with chromium.at(server.address) as page:
        page.upload("#source-upload", text)
        page.says("body", "notes.jpg is not a photo that can be read")
        page.type("#target-path", str(folder / "no_such_clip.mp4"))
        page.says("body", "no such file")
        page.click_text("button[role=tab]", "Verify")
        page.type("#verify-path", str(sample_photos.path("collins")))
        page.says("#verified", "nothing says that faces were swapped")
    assert "Traceback" not in server.output


@pytest.mark.slow
def test_two_browsers_do_not_mix(chromium, server, group):
    with (
        contextlib.closing(browser.Browser()) as second,
        chromium.at(server.address) as one,
        second.at(server.address) as other,
    ):
        one.type("#source-path", str(sample_photos.path("hopper")))
        other.type("#source-path", str(sample_photos.path("collins")))
        assert "collins" not in one.says("#sources", "hopper.jpg")
        assert "hopper" not in other.says("#sources", "collins.jpg")
        one.upload("#target-upload", group)
        other.upload("#target-upload", group)
        assert "hopper" in one.says("#people", "2: ")
        assert "collins" in other.says("#people", "2: ")
        assert len(server.pages) == 2
        other.driver.get("about:blank")
        browser.until(lambda: len(server.pages) == 1, "the end of one page")
        one.click_text("button", "Forget these photos")
        one.says("#people", "2: stays as it is")


@pytest.mark.slow
def test_report_and_training_are_shown(chromium, server, folder):
    report, run = folder / "report", folder / "run"
    black = np.zeros((9, 12, 3), np.uint8)
    images.write_image(report / "plots" / "curve.png", black)
    (report / "report.md").write_text("# Measured\n\n| cosine | .4 |\n|---|---|\n")
    images.write_image(run / "samples" / "swaps_00000020.png", black)
    lines = ['{"kind": "train", "step": %d, "loss": %.1f}' % (n, 9 - n) for n in (1, 2)]
    (run / "metrics.jsonl").write_text("\n".join(lines) + '\n{"kind": "tr')
    with chromium.at(server.address) as page:
        page.click_text("button[role=tab]", "Report")
        page.type("#report-folder", str(report))
        page.says("body", "Measured")
        page.click_text("button[role=tab]", "Training")
        page.type("#run-folder", str(run))
        page.says("body", "train/loss: 7 (from 7 to 8)")
        page.says("body", "swaps_00000020")


@pytest.mark.large
@pytest.mark.parametrize("size", [browser.DESKTOP, browser.PHONE], ids=str)
def test_clip(chromium, server, folder, size):
    clip = testing.shared("faces", "video", "fsgan_abe_720p.mp4")
    source = testing.shared("faces", "portraits")
    photo = sorted(source.rglob("*.jpg"))[0]
    with chromium.at(server.address, size) as page:
        page.upload("#source-upload", photo)
        page.says("#sources", photo.name)
        page.type("#target-path", str(clip))
        page.says("#people", "1: ")
        agree(page)
        page.click("#preview")
        page.find("#after img")
        page.screenshot(folder / f"preview_{size[0]}.png")
        page.click("#swap")
        page.says("#said", "Swapping")
        page.click("#stop")
        page.says("#said", "Stopped. Nothing was kept.")
        page.click("#swap")
        page.says("#said", "verdict: signed here and unaltered")
        seconds = "return document.querySelector('#result video').duration"
        assert page.driver.execute_script(seconds) > 1
        before = seconds.replace("result", "original")
        assert page.driver.execute_script(before) > 1
        page.screenshot(folder / f"clip_{size[0]}.png")
        assert page.asked_elsewhere() == []


@pytest.mark.slow
def test_nothing_is_sent_and_nothing_stays(chromium, tmp_path, group):
    running = browser.Server(tmp_path)
    with chromium.at(running.address) as page:
        ready(page, sample_photos.path("hopper"), group)
        found = running.close()  # while the page is open
    assert found.status == 130, found.output
    assert found.sent == ()
    assert found.left == ()
    assert list(running.temporary.iterdir()) == []
    assert "Traceback" not in found.output

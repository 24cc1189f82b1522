"""The site of the docs is built strictly, loads nothing from elsewhere, asks nobody."""

import re

import pytest

from tests.docs import blocks
from tests.facedancer import recorder

pytestmark = pytest.mark.slow
pytest.importorskip("mkdocs")
pytest.importorskip("material")
pytest.importorskip("mkdocstrings_handlers")
# What a browser loads by itself; a link that is clicked is another thing.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)[^>]*\ssrc=\"?(?P<src>[^\s\">]+)"
    r"|<link(?=[^>]*rel=\"?(?:stylesheet|preconnect|preload|icon|dns-prefetch))"
    r"[^>]*href=\"?(?P<href>[^\s\">]+)"
)
OUTSIDE = re.compile(r"(?:https?:)?//")


def loads(page):
    """Returns what a page loads from another server."""
    found = [match["src"] or match["href"] for match in LOADED.finditer(page)]
    return [address for address in found if OUTSIDE.match(address)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    words = ["build", "--strict", "-q", "-f", blocks.ROOT / "mkdocs.yml"]
    words += ["-d", folder / "made"]
    found = recorder.record(folder / "run", ["-m", "mkdocs", *words])
    assert found.status == 0, found.output
    assert found.sent == ()
    return folder / "made"


def test_pages_load_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text()
        assert loads(text) == [], page.name
        # For these the theme's script would ask another server.
        assert 'class="mermaid"' not in text and "data-md-component=source" not in text
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text())


def test_every_page_is_in_the_menu(site):
    home = (site / "index.html").read_text()
    for page in (blocks.ROOT / "docs").rglob("*.md"):
        name = page.relative_to(blocks.ROOT / "docs").with_suffix(".html")
        name = name.with_name("index.html") if name.stem == "README" else name
        assert f'href="{name.as_posix()}"' in home or name.name == "index.html"


def test_python_reference_shows_the_swapper(site):
    text = (site / "python.html").read_text()
    for word in ("swap_video", "with_settings", "FoundFaces", "load_generator"):
        assert word in text


def test_examples_of_docstrings_are_code(site):
    text = (site / "python.html").read_text()
    examples = re.findall(r'<details class="example".*?</details>', text, re.DOTALL)
    assert len(examples) > 3
    for example in examples:
        assert '<div class="highlight"><pre>' in example


@pytest.mark.parametrize(
    "page, count",
    [
        ('<link rel="stylesheet" href="https://fonts.example/css">', 1),
        ('<link href="//cdn.example/a.css" rel="stylesheet">', 1),
        ('<script src="https://cdn.example/a.js"></script>', 1),
        ('<a href="https://c2pa.org">C2PA</a><img src="images/a.png">', 0),
    ],
)
def test_the_test_sees_what_is_loaded(page, count):
    assert len(loads(page)) == count

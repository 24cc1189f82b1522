"""What README and docs print is run: each page in a clean folder, in its order."""

import pathlib
import tempfile
import unittest

import pytest

from tests.docs import blocks, stage

BLOCKS = {page: blocks.blocks_of(page) for page in blocks.pages()}
# Of these the blocks without a mark are run with -m slow; of all others with -m large.
QUICK = [blocks.ROOT / name for name in ("README.md", "docs/python.md")]
LONG = [page for page, found in BLOCKS.items() if any(one.runs for one in found)]


def name_of(page):
    return str(page.relative_to(blocks.ROOT))


@pytest.mark.parametrize("page", BLOCKS, ids=name_of)
def test_blocks_say_what_they_are(page):
    for block in BLOCKS[page]:
        known = block.language in (*blocks.RUN, *blocks.SHOWN)
        assert known, f"{block.place}: write ```bash, ```python or ```text"
        block.shortened()


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)


def run(page, folder, long):
    """Runs a page; what cannot run here is told at the end."""
    place, absent = stage.Stage(folder), []
    place.portraits()
    for block in BLOCKS[page]:
        if block.runs and (long or not block.long):
            try:
                print(block.place, place.run(block), sep="\n")
            except unittest.SkipTest as reason:
                absent.append(f"{block.place}: {reason}")
    if absent:
        pytest.skip("; ".join(absent))


@pytest.mark.parametrize("page", QUICK, ids=name_of)
@pytest.mark.slow
def test_quick_blocks(page, folder):
    run(page, folder, long=False)


@pytest.mark.large
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", LONG, ids=name_of)
def test_all_blocks(page, folder):
    run(page, folder, long=True)


@pytest.mark.parametrize(
    "text, words",
    [
        ("\n    facedancer demo\n", "write ```bash"),
        ("```\nfacedancer demo\n```\n", "write ```bash"),
        ("<!-- run: hours -->\n```bash\nls\n```\n", "unknown mark 'hours'"),
        ('<!-- run: "a b" as "c" -->\n```bash\nls\n```\n', "does not say a b"),
    ],
)
def test_the_test_sees_what_is_wrong(text, words, monkeypatch):
    page = blocks.ROOT / "no_such_page.md"
    monkeypatch.setattr(pathlib.Path, "read_text", lambda path: text)
    with pytest.raises((AssertionError, ValueError), match=words):
        monkeypatch.setitem(BLOCKS, page, blocks.blocks_of(page))
        test_blocks_say_what_they_are(page)


def test_a_failing_command_is_seen(folder):
    block = blocks.Block(blocks.ROOT / "README.md", 1, "bash", "false | cat\necho on\n")
    with pytest.raises(AssertionError, match="status 1"):
        stage.Stage(folder).run(block)

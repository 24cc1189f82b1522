"""What one open page knows, apart from all others, and its folder."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import pathlib
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterable

from facedancer.errors import InputError
from facedancer.imaging import image_formats
from facedancer.storage import claims
from facedancer.video_swap.api import Swapper
from facedancer.video_swap.api_results import Identity
from facedancer.video_swap.clips.people import Person
from facedancer.video_swap.settings import NetworkSettings


@dataclasses.dataclass(frozen=True)
class Source:
    """Somebody whose face may be put in.

    Attributes:
        name: Of the photo.
        path: The photo.
        identity: Who it is.
    """

    name: str
    path: pathlib.Path
    identity: Identity


class Uploads:
    """Files that the server received, kept while a page needs them.

    Equal files of two pages lie in one place, so none of the pages may take it away.
    """

    def __init__(self) -> None:
        self._users: collections.Counter[pathlib.Path] = collections.Counter()
        self._lock = threading.Lock()

    def take(self, upload: pathlib.Path, kept: pathlib.Path) -> None:
        """Puts a file at another place too.

        Args:
            upload: Where the server put it.
            kept: On the same disk.

        Raises:
            InputError: If it is gone.
        """
        with self._lock:
            try:
                os.link(upload, kept)
            except FileNotFoundError:
                raise InputError(
                    f"{upload.name} is no longer there. Choose it once more"
                ) from None
            self._users[upload] += 1

    def leave(self, uploads: Iterable[pathlib.Path]) -> None:
        """Removes files that no page needs any longer.

        Args:
            uploads: What one page took.
        """
        with self._lock:
            for upload in uploads:
                self._users[upload] -= 1
                if not self._users[upload]:
                    del self._users[upload]
                    upload.unlink(missing_ok=True)


class Session:
    """One open page: its photos, its target, who becomes whom.

    Args:
        folder: Its own, removed by `close`.
        networks: Networks, and what runs them.
        uploads: What the server received for all pages.

    Attributes:
        sources: Whose faces may be put in, in the order they came.
        target: The photo or clip; None before one is chosen.
        people: Whoever is seen in the target.
        becomes: By number of a person the place of the source; None: stays.
        agreed: Whether the user said that all who are shown agreed.
        stopped: Set when the user ends a swap that is under way.
        result: What was written last.
    """

    def __init__(
        self, folder: pathlib.Path, networks: NetworkSettings, uploads: Uploads
    ) -> None:
        self.folder, self._networks, self._uploads = folder, networks, uploads
        self._taken: list[pathlib.Path] = []
        self.sources: list[Source] = []
        self.target: pathlib.Path | None = None
        self.people: list[Person] = []
        self.becomes: dict[int, int | None] = {}
        self.agreed, self.stopped = False, threading.Event()
        self.result: pathlib.Path | None = None
        self._swapper: Swapper | None = None
        self.lock = threading.RLock()  # one thing at a time in one page

    @property
    def swapper(self) -> Swapper:
        """The networks, read when they are first needed.

        Raises:
            InputError: If a file of them cannot be used.
        """
        with self.lock:
            if self._swapper is None:
                self._swapper = Swapper(**vars(self._networks))
            return self._swapper

    def place(self, name: str) -> pathlib.Path:
        """Returns where a new file of this name is to lie, in a folder of its own.

        Args:
            name: Its name, without a path.
        """
        folder = self.folder / secrets.token_hex(4)
        folder.mkdir()
        return folder / name

    def take(self, upload: str | os.PathLike) -> pathlib.Path:
        """Returns an uploaded file's place in the folder of the session.

        Args:
            upload: Where the server put it.

        Raises:
            InputError: If it is gone.
        """
        path = pathlib.Path(upload)
        kept = self.place(path.name)
        self._uploads.take(path, kept)
        self._taken.append(path)
        return kept

    def add_source(self, path: pathlib.Path) -> Source:
        """Adds somebody whose face may be put in; returns who.

        Args:
            path: A photo.

        Raises:
            InputError: If it is no photo, or shows no face.
        """
        _check_photo(path)
        source = Source(path.name, path, self.swapper.identity(path))
        self.sources.append(source)
        if len(self.sources) == 1:
            self.becomes = dict.fromkeys(self.becomes, 0)
        return source

    def forget_sources(self) -> None:
        """Empties the list of sources; everybody stays as they are."""
        self.sources.clear()
        self.becomes = dict.fromkeys(self.becomes)

    def set_target(self, path: pathlib.Path) -> list[Person]:
        """Chooses the photo or clip, and returns whoever is seen in it.

        Args:
            path: The file or, of pictures, the folder.

        Raises:
            InputError: If it is neither photo nor clip, or shows no face.
        """
        self.target, self.people, self.becomes = None, [], {}
        found = self.swapper.people(path)
        first = 0 if self.sources else None
        self.target, self.people = path, found
        self.becomes = {person.number: first for person in found}
        return found

    def close(self) -> None:
        """Ends what is under way and removes the folder."""
        self.stopped.set()
        self._uploads.leave(self._taken)
        self._taken.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def _check_photo(path: pathlib.Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if not image_formats.is_photo(path):
        raise InputError(
            f"{path.name} is not a photo that can be read. Choose a JPEG, PNG or WebP "
            "picture that shows one face"
        )


_PREFIX, _LOCK = "facedancer-ui-", ".lock"


def remove_dead() -> None:
    """Removes what servers left that were killed.

    The folder of a server that is alive is locked by it, and stays.
    """
    for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if folder.is_symlink() or not (folder / _LOCK).is_file():
            continue  # not one of ours, or one that is being made
        with contextlib.suppress(InputError, OSError):  # alive, or somebody else's
            with claims.claimed(folder, folder=True):
                for one in folder.iterdir():
                    if one.is_dir():
                        shutil.rmtree(one)
                    elif one.name != _LOCK:
                        one.unlink()
            folder.rmdir()


class Sessions:
    """All open pages, in one temporary folder that is removed by `close`.

    What is left of servers that were killed is removed first.

    Args:
        networks: Networks, and what runs them.
    """

    def __init__(self, networks: NetworkSettings) -> None:
        remove_dead()
        self._held = contextlib.ExitStack()
        name = tempfile.TemporaryDirectory(prefix=_PREFIX)
        self.folder = pathlib.Path(self._held.enter_context(name)).resolve()
        self._held.enter_context(claims.claimed(self.folder, folder=True))
        self._networks, self._lock = networks, threading.Lock()
        self._open: dict[str, Session] = {}
        self._uploads = Uploads()

    def of(self, key: str) -> Session:
        """Returns the session of a page.

        Args:
            key: What the server calls the page.
        """
        with self._lock:
            if key not in self._open:
                folder = self.folder / f"page-{secrets.token_hex(16)}"
                folder.mkdir()
                self._open[key] = Session(folder, self._networks, self._uploads)
            return self._open[key]

    def end(self, key: str) -> None:
        """Removes what a page left.

        Args:
            key: What the server calls the page.
        """
        with self._lock:
            session = self._open.pop(key, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        """Removes what all pages left."""
        for key in list(self._open):
            self.end(key)
        self._held.close()

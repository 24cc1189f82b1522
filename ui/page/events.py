"""What a click does: from the page to its session, and back as what is shown."""

from __future__ import annotations

import functools
import html
import math
import pathlib
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.storage import files
from facedancer.ui.session import reports, swaps
from facedancer.ui.session.sessions import Session, Sessions
from facedancer.video_swap.clips import examining, people

STAYS = "stays as it is"
_PLAYED = (".mp4", ".webm", ".mov", ".m4v")
_ANIMATED = (".gif", ".webp")


def in_sentences(work: Callable[..., Any]) -> Callable[..., Any]:
    """Returns an event whose `InputError` is a sentence on the page.

    Args:
        work: The event.
    """

    @functools.wraps(work)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return work(*args, **kwargs)
        except InputError as error:
            raise _sentence(str(error)) from None
        except OSError as error:
            raise _sentence(files.in_words(error)) from None

    return told


def _sentence(text: str) -> gr.Error:
    return gr.Error(text, title="This does not work yet", print_exception=False)


class Events:
    """The events of the page; each finds its session by the page it comes from.

    Args:
        sessions: All open pages.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    def of(self, request: gr.Request) -> Session:
        """Returns the session of the page that asks.

        Args:
            request: What it sent.
        """
        return self.sessions.of(str(request.session_hash))

    def end(self, request: gr.Request) -> None:
        """Removes what a page left that was closed.

        Args:
            request: Its last.
        """
        self.sessions.end(str(request.session_hash))

    @in_sentences
    def add_sources(
        self, uploads: list[str] | None, path: str, request: gr.Request
    ) -> tuple[Any, ...]:
        """Adds photos of people whose faces may be put in.

        Args:
            uploads: Files that the browser sent.
            path: Or one on this machine.
            request: Whose page.
        """
        session = self.of(request)
        given = [_given(session, upload, path) for upload in uploads or (None,)]
        for photo in given:
            session.add_source(photo)
        return (None, "", *self._sources(session), *self._people(session))

    @in_sentences
    def forget_sources(self, request: gr.Request) -> tuple[Any, ...]:
        """Empties the list of sources.

        Args:
            request: Whose page.
        """
        session = self.of(request)
        session.forget_sources()
        return (*self._sources(session), *self._people(session))

    def _sources(self, session: Session) -> tuple[Any, ...]:
        shown = [
            (images.read_image(one.path), name)
            for one, name in zip(session.sources, _names(session), strict=True)
        ]
        return (_pictures(session, shown), gr.update(choices=_choices(session)))

    @in_sentences
    def set_target(
        self, upload: str | None, path: str, request: gr.Request
    ) -> tuple[Any, ...]:
        """Chooses the photo or clip, and shows whoever is seen in it.

        Args:
            upload: A file that the browser sent.
            path: Or one on this machine.
            request: Whose page.
        """
        session = self.of(request)
        target = _given(session, upload, path)
        found = session.set_target(target)
        length = math.floor(swaps.length_of(target, found) * 100) / 100
        slider = gr.update(maximum=max(length, 0.01), value=0.0, visible=length > 0)
        count = f"{len(found)} people" if len(found) > 1 else "one person"
        words = f"**{html.escape(target.name)}**: {count}. Click a face to choose."
        return (None, "", words, *self._people(session), slider)

    def _people(self, session: Session) -> tuple[Any, ...]:
        shown = [
            (one.picture, f"{one.number}: {_becomes(session, one.number)}")
            for one in session.people
        ]
        return (_pictures(session, shown),)

    @in_sentences
    def click_face(self, request: gr.Request, event: gr.SelectData) -> tuple[Any, ...]:
        """Shows who a person becomes, to be changed.

        Args:
            request: Whose page.
            event: Which picture.
        """
        session = self.of(request)
        person = session.people[event.index]
        seen = people.in_words(person, 4)
        label = f"Person {person.number} ({seen}) becomes"
        value = _becomes(session, person.number)
        choices = _choices(session)
        return person.number, gr.update(
            choices=choices, label=label, value=value, visible=True
        )

    @in_sentences
    def choose(self, number: int | None, word: str | None, request: gr.Request) -> Any:
        """Says who a person becomes.

        Args:
            number: Of the person who was clicked.
            word: One of the choices.
            request: Whose page.
        """
        session = self.of(request)
        if number in session.becomes and word in _choices(session):
            index = _choices(session).index(word) - 1
            session.becomes[number] = None if index < 0 else index
        return self._people(session)[0]

    @in_sentences
    def agree(self, agreed: bool, request: gr.Request) -> Any:
        """Notes that the user agreed; asked once.

        Args:
            agreed: Whether the sentence is ticked.
            request: Whose page.
        """
        self.of(request).agreed = agreed
        return gr.update(visible=not agreed)

    @in_sentences
    def preview(
        self,
        seconds: float,
        mask: str,
        strength: float,
        colour: str,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        """Shows one picture, and the same swapped.

        Args:
            seconds: Which of a clip.
            mask: Shape that is pasted.
            strength: Of the identity.
            colour: Kind of colour correction.
            request: Whose page.
        """
        session = self.of(request)
        settings = {"mask": mask, "strength": strength, "colour": colour}
        before, after = swaps.preview(session, seconds, settings)
        return _file(session, before), _file(session, after)

    def maybe_preview(self, *values: Any, request: gr.Request) -> tuple[Any, ...]:
        """Shows it anew where it was shown, quietly where something is missing.

        Args:
            *values: As `preview` takes them.
            request: Whose page.
        """
        try:
            swaps.check_ready(self.of(request))
        except InputError:
            return gr.skip(), gr.skip()
        return self.preview(*values, request)

    @in_sentences
    def swap(
        self,
        mask: str,
        strength: float,
        colour: str,
        request: gr.Request,
        progress: gr.Progress,
    ) -> tuple[Any, ...]:
        """Swaps, and shows original, result, download and provenance.

        Args:
            mask: Shape that is pasted.
            strength: Of the identity.
            colour: Kind of colour correction.
            request: Whose page.
            progress: The bar.
        """
        session = self.of(request)
        target = swaps.check_ready(session)
        progress((0, None), desc="Beginning")

        def tell(done: int, total: int | None) -> None:
            progress((done, total), unit="frames", desc="Swapping")

        settings = {"mask": mask, "strength": strength, "colour": colour}
        try:
            done = swaps.swap(session, settings, tell)
        except swaps.Stopped:
            return "", "", gr.update(visible=False), "Stopped. Nothing was kept."
        words = "\n".join(f"- {html.escape(line)}" for line in done.words)
        return (
            _shown(session, target, "The original"),
            _shown(session, done.path, "The result"),
            gr.update(value=str(done.path), visible=True),
            words,
        )

    def stop(self, request: gr.Request) -> None:
        """Ends a swap that is under way.

        Args:
            request: Whose page.
        """
        self.of(request).stopped.set()

    @in_sentences
    def verify(
        self, upload: str | None, path: str, request: gr.Request
    ) -> tuple[Any, ...]:
        """Says what a file carries.

        Args:
            upload: A file that the browser sent.
            path: Or one on this machine.
            request: Whose page.
        """
        file = _given(self.of(request), upload, path)
        found = examining.examine(str(file))
        lines = [f"**{file.name}: {found['verdict']}**", ""]
        lines += [
            f"- {html.escape(one.strip())}" for one in examining.in_words(found)[1:]
        ]
        return None, "\n".join(lines)

    @in_sentences
    def report(self, folder: str, request: gr.Request) -> tuple[Any, ...]:
        """Shows an evaluation's report.

        Args:
            folder: Where it lies.
            request: Whose page.
        """
        return self._look(reports.report(folder), request)

    @in_sentences
    def run(self, folder: str, request: gr.Request) -> tuple[Any, ...]:
        """Shows curves and samples of a training.

        Args:
            folder: Where it lies.
            request: Whose page.
        """
        return self._look(reports.run(folder), request)

    def _look(self, look: reports.Look, request: gr.Request) -> tuple[Any, ...]:
        session = self.of(request)
        shown = [(images.read_image(path), name) for path, name in look.pictures]
        return look.text, _pictures(session, shown)


def _given(session: Session, upload: str | None, path: str) -> pathlib.Path:
    """Returns the file that the browser sent, or the one whose path was typed.

    Raises:
        InputError: If there is neither, or the upload is gone.
    """
    if upload:
        return session.take(upload)
    if not path.strip():
        raise InputError("Choose a file, or give its path on this machine")
    return pathlib.Path(path.strip()).expanduser()


def _choices(session: Session) -> list[str]:
    return [STAYS, *_names(session)]


def _names(session: Session) -> list[str]:
    """Returns what the sources are called, numbered where two have one name."""
    names = [one.name for one in session.sources]
    return [
        f"{name} ({index})" if names.count(name) > 1 else name
        for index, name in enumerate(names, start=1)
    ]


def _becomes(session: Session, number: int) -> str:
    index = session.becomes.get(number)
    return STAYS if index is None else _choices(session)[index + 1]


def _file(session: Session, image: Any) -> str:
    return str(images.write_image(session.place("picture.webp"), image))


def _pictures(session: Session, shown: Sequence[tuple[Any, str]]) -> Any:
    return [(_file(session, image), caption) for image, caption in shown]


def _shown(session: Session, path: pathlib.Path, label: str) -> str:
    """Returns a photo or clip as HTML; what cannot be played as its first picture."""
    ending = path.suffix.lower()
    if session.folder not in path.parents:
        path = _linked(session, path)
    shown = ending in (*_PLAYED, *_ANIMATED) and session.folder in path.parents
    if not shown:
        path = pathlib.Path(_file(session, swaps.frame_at(path, 0.0)))
    moves = shown and ending in _PLAYED
    address = html.escape("/gradio_api/file=" + urllib.parse.quote(str(path)))
    if moves:
        how = "controls loop muted autoplay playsinline"
        inner = f'<video {how} src="{address}"></video>'
    else:
        inner = f'<img src="{address}" alt="{label}">'
    return f'<figure class="shown"><figcaption>{label}</figcaption>{inner}</figure>'


def _linked(session: Session, path: pathlib.Path) -> pathlib.Path:
    """Returns a second name of a file in the session's folder, to be served from there.

    Where there can be none (another disk), its own: large files are not copied.
    """
    copy = session.place(path.name)
    try:
        copy.hardlink_to(path.resolve())
    except OSError:
        return path
    return copy

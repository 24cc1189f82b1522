"""Open files of other people: containers by their content, never lists of files."""

from __future__ import annotations

import contextlib
import os
import pathlib
import typing
from collections.abc import Iterator, Sequence

import av

from facedancer.errors import InputError
from facedancer.storage import untrusted

# What holds its picture and sound itself. Left out is what names other files or places
# (concat, hls, dash, sdp, imf, image2 with its patterns) or is a script.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,flv,live_flv,asf,"
    "ogg,nut,mxf,gxf,dv,rm,wtv,ivf,obu,av1,h264,hevc,vvc,h263,h261,m4v,mpegvideo,mjpeg,"
    "vc1,cavsvideo,dirac,dnxhd,yuv4mpegpipe,gif,apng,wav,mp3,flac,aac,ac3,amr,caf,aiff"
)
_ONLY = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # of Matroska
_NO_FILM = (
    av.stream.Disposition.attached_pic
    | av.stream.Disposition.timed_thumbnails
    | av.stream.Disposition.still_image
)


def url(path: str | os.PathLike) -> str:
    """Returns what FFmpeg takes for this file, whatever its name looks like.

    Args:
        path: The file. A name such as `12:30.mp4` would be taken for a protocol.
    """
    return f"file:{os.fspath(path)}"


def open_input(path: str | os.PathLike) -> av.container.InputContainer:
    """Opens a media file, or says in one line why not.

    Args:
        path: The file. Its content decides what it is; lists of other files (ffconcat,
            m3u8, ...) are refused whatever their name.

    Raises:
        InputError: If it is missing, empty or nothing that can be read.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"{path}: no such file")
    untrusted.check_not_empty(path, "not a video that can be read")
    try:
        container = av.open(
            url(path), metadata_errors="replace", container_options=dict(_ONLY)
        )
    except av.error.ArgumentError:
        raise InputError(
            f"{path}: not a video that can be read: its content is no video container "
            "(lists of other files are not followed). Give one file in MP4, Matroska, "
            "AVI, MPEG or another container"
        ) from None
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(
            f"{path}: not a video that can be read ({error.strerror})"
        ) from None
    # For files without times of display FFmpeg would make up wrong ones.
    container.flags &= ~typing.cast(int, av.container.Flags.gen_pts.value)
    return container


def picture_stream(
    container: av.container.InputContainer, path: str | os.PathLike
) -> av.VideoStream:
    """Returns the stream that is the picture; a cover image is none.

    Args:
        container: An open file.
        path: Its name, for the message.

    Returns:
        Of several the one that the file calls the default, else the first.

    Raises:
        InputError: If there is none, or none that can be decoded.
    """
    films = [s for s in container.streams.video if not s.disposition & _NO_FILM]
    known = [stream for stream in films if stream.codec_context is not None]
    default = av.stream.Disposition.default
    if known:
        return max(known, key=lambda stream: bool(stream.disposition & default))
    if films:
        raise InputError(f"{path}: its picture is in a format that is not known here")
    others = sorted({str(stream.type) for stream in container.streams}) or ["nothing"]
    raise InputError(f"{path}: no video stream in it, only {', '.join(others)}")


def packets_of(
    container: av.container.InputContainer, streams: Sequence[av.stream.Stream]
) -> Iterator[tuple[av.Packet | None, str]]:
    """Yields `(packet, "")`, and `(None, reason)` where the file breaks off.

    Args:
        container: An open file.
        streams: Its streams that are read.
    """
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except IndexError:  # at the end, PyAV asks for streams that turned up later
            return
        except av.error.FFmpegError as error:
            yield None, error.strerror
            return
        yield packet, ""


def is_cut(path: str | os.PathLike) -> bool:
    """Returns whether a Matroska or WebM file ends before it says it does.

    FFmpeg reads what is there and says nothing.

    Args:
        path: The file, of any kind.
    """
    with open(path, "rb") as file:
        head = file.read(256)
    if not head.startswith(_EBML):
        return False
    size, start = _ebml_size(head, len(_EBML))
    start += size
    if size > len(head) or head[start : start + 4] != _SEGMENT:
        return False
    size, start = _ebml_size(head, start + 4)
    return start + size > os.path.getsize(path)


def _ebml_size(head: bytes, at: int) -> tuple[int, int]:
    """Returns a length, 0 if it is left open, and where what has it begins."""
    if at >= len(head) or not head[at]:
        return 0, at
    count = 9 - head[at].bit_length()
    value = int.from_bytes(head[at : at + count], "big") & (1 << 7 * count) - 1
    return (0 if value == (1 << 7 * count) - 1 else value), at + count


@contextlib.contextmanager
def reasons() -> Iterator[list]:
    """Yields a list that FFmpeg's own words about errors of this thread go into."""
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # else words that were said once are missing
    try:
        with av.logging.Capture() as logs:
            yield logs
    finally:
        av.logging.set_skip_repeated(skips)
        av.logging.set_level(level)


def why(error: Exception, logs: list) -> str:
    """Returns what went wrong, in FFmpeg's words where it said some.

    Args:
        error: What was raised.
        logs: What `reasons` gave.
    """
    words = getattr(error, "strerror", None) or str(error)
    said = [message.strip() for level, _, message in logs if level <= av.logging.ERROR]
    return f"{words}: {said[-1]}" if said else words

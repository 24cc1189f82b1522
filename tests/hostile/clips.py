"""Builders of odd clips, as other people's programs make them; all with PyAV alone.

Each picture carries its number as black and white strips, so that a test sees which
picture stands where: `number_of(numbered(7)) == 7`. `CLICK` marks a moment in the sound
and in the picture.
"""

from __future__ import annotations

import pathlib
from fractions import Fraction

import av
import numpy as np

SIZE_WH = (64, 48)
RATE = 25
BITS = 8


def numbered(number, size_wh=SIZE_WH):
    """A grey picture, `(height, width, 3)`, whose upper half shows a number."""
    width, height = size_wh
    image = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        image[: height // 2, left:right] = 235 if number >> bit & 1 else 16
    return image


def number_of(image):
    """The number that a picture of `numbered` shows, also when it was scaled."""
    height, width = image.shape[:2]
    number = 0
    for bit in range(BITS):
        middle = (2 * bit + 1) * width // (2 * BITS)
        part = image[height // 8 : height * 3 // 8, middle - 1 : middle + 2]
        number |= int(part.mean() > 128) << bit
    return number


def planes(image, pix_fmt):
    """A frame of a picture `(height, width, 3 or 4)` in some pixel format."""
    kind = "rgba" if image.shape[2] == 4 else "rgb24"
    return av.VideoFrame.from_ndarray(image, format=kind).reformat(format=pix_fmt)


def write(
    path,
    numbers=range(12),
    size_wh=SIZE_WH,
    codec="libx264",
    options=None,
    pix_fmt="yuv420p",
    rate=RATE,
    pts=None,
    sound=None,
    clicks=(),
    sound_rate=48000,
    layout="mono",
    seconds=None,
    start=0,
    prepare=lambda container, stream: None,
    picture=numbered,
    **opening,
):
    """Writes a clip and returns its path.

    `numbers` are what the pictures show, `pts` their times in frames, `start` is added
    to all times, in seconds. `sound` is a codec, `clicks` are the seconds at which it
    clicks, `seconds` its length. `prepare` is called with the container and the stream
    of the picture before anything is encoded; `opening` goes to `av.open`.
    """
    numbers = list(numbers)
    pts = range(len(numbers)) if pts is None else pts
    with av.open(str(path), "w", **opening) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size_wh
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, rate)
        default = {"crf": "8", "g": "12"} if codec == "libx264" else {}
        stream.options = {**default, **(options or {})}
        prepare(container, stream)
        track = None
        if sound:
            track = container.add_stream(sound, rate=sound_rate)
            track.layout = layout
        for number, time in zip(numbers, pts, strict=True):
            frame = planes(picture(number, size_wh), pix_fmt)
            frame.pts, frame.time_base = time + start * rate, Fraction(1, rate)
            container.mux(stream.encode(frame))
        if track is not None:
            length = len(numbers) / rate if seconds is None else seconds
            _write_sound(container, track, length, clicks, start)
        container.mux(stream.encode(None))
    return pathlib.Path(path)


def clicking(seconds, rate, clicks, channels=1):
    """Sound `(channels, samples)` float32 of silence with bursts of 10 ms."""
    wave = np.zeros(round(seconds * rate), np.float32)
    burst = 0.8 * np.sin(2 * np.pi * 1500 * np.arange(round(0.01 * rate)) / rate)
    for moment in clicks:
        at = round(moment * rate)
        wave[at : at + len(burst)] += burst[: len(wave) - at].astype(np.float32)
    return np.repeat(wave[None], channels, axis=0)


def _write_sound(container, stream, seconds, clicks, start):
    rate, channels = stream.rate, stream.channels
    wave = clicking(seconds, rate, clicks, channels)
    for at in range(0, wave.shape[1], 1024):
        part = np.ascontiguousarray(wave[:, at : at + 1024])
        frame = av.AudioFrame.from_ndarray(part, "fltp", stream.layout.name)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = at + round(start * rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def click_times(path, track=0, quiet=0.15):
    """The seconds, on the file's own clock, at which its sound clicks."""
    found, last = [], -1.0
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        for frame in container.decode(stream):
            wave = np.abs(av_floats(frame)).max(axis=0)
            for index in np.flatnonzero(wave > 0.3):
                now = float(frame.pts * frame.time_base) + index / frame.sample_rate
                if now - last > quiet:
                    found.append(now)
                last = now
    return found


def av_floats(frame):
    """Samples `(channels, samples)` in [-1, 1] of a decoded frame of sound."""
    wave = frame.to_ndarray()
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        wave = wave.reshape(-1, channels).T
    if wave.dtype.kind == "i":
        wave = wave / np.iinfo(wave.dtype).max
    return wave


def decoded(path, stream=None):
    """Numbers of all pictures by plain decoding, in the decoder's order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0 if stream is None else stream]
        return [
            number_of(frame.to_ndarray(format="rgb24"))
            for frame in container.decode(stream)
        ]


def remux(source, output, change=lambda stream: None, format=None, **opening):
    """Copies the picture's packets into another container."""
    with (
        av.open(str(source)) as given,
        av.open(str(output), "w", format=format, **opening) as made,
    ):
        stream = made.add_stream_from_template(given.streams.video[0], opaque=True)
        change(stream)
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                made.mux(packet)
    return pathlib.Path(output)


# The clips, each named after what is odd.


def reordered_avi(path, count=24):
    """H.264 with a pyramid of B frames in AVI, which has no times of display."""
    return write(
        path,
        range(count),
        options={"bf": "3", "b-pyramid": "normal", "b_strategy": "0", "refs": "4"},
    )


def joined_ts(path, parts, folder):
    """Transport streams one behind the other in one file, as `cat a.ts b.ts` gives.

    `parts` are dictionaries of arguments of `write`.
    """
    data = b""
    for index, part in enumerate(parts):
        piece = write(
            pathlib.Path(folder) / f"part{index}.ts",
            format="mpegts",
            options={"muxdelay": "0", "muxpreload": "0"} | part.pop("options", {}),
            **part,
        )
        data += piece.read_bytes()
    path = pathlib.Path(path)
    path.write_bytes(data)
    return path


def playlist(path, target, kind="ffconcat"):
    """A list of other files that bears the name of a clip."""
    text = {
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
        "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-VERSION:3\n"
        f"#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
        f'type="static"><Period><AdaptationSet><Representation id="1">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    }[kind]
    path = pathlib.Path(path)
    path.write_text(text)
    return path


def with_timecode(path, timecode="01:00:00:00", **more):
    """A clip with a timecode track, as cameras and editors write."""

    def prepare(container, stream):
        stream.metadata["timecode"] = timecode

    return write(path, prepare=prepare, **more)


def aspect_in_container(path, aspect, folder):
    """A clip whose H.264 says nothing of the shape of its pixels, but the file does."""
    raw = write(pathlib.Path(folder) / "plain.nut")

    def change(stream):
        stream.codec_context.sample_aspect_ratio = aspect

    return remux(raw, path, change)


def oriented(path, matrix, picture=numbered, **more):
    """A clip with a display matrix of 9 numbers in units of 1 / 65536."""

    def prepare(container, stream):
        stream.set_display_matrix(matrix)

    return write(path, prepare=prepare, picture=picture, **more)


def display_matrix(a, b, c, d):
    """The 9 numbers of a display matrix: shown x is a x + c y, shown y is b x + d y."""
    one = 1 << 16
    return [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]


def interlaced(path, codec="libx264", top_first=True, **more):
    """A clip whose frames are two fields each."""
    first = "tff" if top_first else "bff"
    options = {"flags": "+ildct+ilme", "top": "1" if top_first else "0"}
    if codec == "libx264":
        options |= {"x264-params": f"{first}=1"}
    return write(path, codec=codec, options=options | more.pop("options", {}), **more)


def two_pictures(path, default=1, numbers=(range(12), range(100, 112))):
    """A clip with two video streams, of which one is the default."""
    disposition = av.stream.Disposition
    with av.open(str(path), "w") as container:
        streams = []
        for index in range(2):
            stream = container.add_stream("libx264", rate=RATE)
            stream.width, stream.height = SIZE_WH
            stream.codec_context.time_base = Fraction(1, RATE)
            stream.options = {"crf": "8", "bf": "0"}
            chosen = disposition.default if index == default else disposition(0)
            stream.disposition = chosen
            streams.append(stream)
        for time, pair in enumerate(zip(*numbers, strict=True)):
            for stream, number in zip(streams, pair, strict=True):
                frame = planes(numbered(number), "yuv420p")
                frame.pts, frame.time_base = time, Fraction(1, RATE)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return pathlib.Path(path)


def with_cover(path, **more):
    """A clip whose first video stream is the picture of its cover."""
    cover = planes(numbered(255, (32, 32)), "yuvj420p")

    def prepare(container, stream):
        art = container.add_stream("mjpeg", rate=1)
        art.width, art.height, art.pix_fmt = 32, 32, "yuvj420p"
        art.disposition = av.stream.Disposition.attached_pic
        cover.pts = 0
        prepare.packets = art.encode(cover) + art.encode(None)

    raw = write(pathlib.Path(f"{path}.plain.mp4"), **more)
    with av.open(str(raw)) as given, av.open(str(path), "w") as made:
        prepare(made, None)
        stream = made.add_stream_from_template(given.streams.video[0], opaque=True)
        made.mux(prepare.packets)
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                made.mux(packet)
    raw.unlink()
    return pathlib.Path(path)


def see_through(number, size_wh=SIZE_WH):
    """A numbered picture with alpha: its lower right quarter is hidden green."""
    image = np.dstack(
        [numbered(number, size_wh), np.full(size_wh[::-1], 255, np.uint8)]
    )
    width, height = size_wh
    image[height // 2 :, width // 2 :] = (0, 255, 0, 0)
    return image


def with_alpha(path, kind="qtrle", **more):
    """A clip with alpha: `qtrle` or `prores_ks` in .mov, `libvpx...` in .webm."""
    pix_fmt = {
        "qtrle": "argb",
        "prores_ks": "yuva444p10le",
        "libvpx": "yuva420p",
        "libvpx-vp9": "yuva420p",
        "png": "rgba",
        "ffv1": "bgra",
    }[kind]

    def prepare(container, stream):
        if kind.startswith("libvpx"):
            stream.metadata["alpha_mode"] = "1"

    options = {"b": "2M", "crf": "10", "auto-alt-ref": "0"}
    return write(
        path,
        codec=kind,
        pix_fmt=pix_fmt,
        options=options if kind.startswith("libvpx") else {},
        prepare=prepare,
        picture=see_through,
        **more,
    )


def faced(number, size_wh=SIZE_WH, colour=(220, 30, 30)):
    """A numbered picture with a coloured square, which the tests take for a face."""
    image = numbered(number, size_wh)
    width, height = size_wh
    side = height * 5 // 12
    left, top = (width - side) // 2, height * 13 // 24
    image[top : top + side, left : left + side] = colour
    return image

"""How pictures of a clip are encoded; reading this needs no library of FFmpeg."""

from __future__ import annotations

import dataclasses
import os
import pathlib

from facedancer.flags.settings import Checked, ranged

# Looking ahead in the stream makes files of this preset of libx264 smaller by a third
# and costs next to nothing.
_AHEAD = {"superfast": {"mbtree": "1", "rc-lookahead": "10"}}
# How each family of encoders is told its constant quality.
QUALITY = {
    "libx264": lambda q, preset: (
        {"crf": str(q), "preset": preset} | _AHEAD.get(preset, {})
    ),
    "libx265": lambda q, preset: {
        "crf": str(q),
        "preset": preset,
        "x265-params": "log-level=error",
    },
    "libvpx-vp9": lambda q, preset: {"crf": str(q), "b": "0", "row-mt": "1"},
    "libvpx": lambda q, preset: {"crf": str(max(4, q)), "b": "20M"},
    "libsvtav1": lambda q, preset: {"crf": str(q)},
    "prores_ks": lambda q, preset: {},
    "qtrle": lambda q, preset: {},
    "nvenc": lambda q, preset: {"cq": str(q), "rc": "vbr", "b": "0"},
    "qsv": lambda q, preset: {"global_quality": str(q)},
    "vaapi": lambda q, preset: {"qp": str(q)},
    "videotoolbox": lambda q, preset: {"q": str(max(1, 100 - 2 * q))},
}
# Pixel formats of encoders that do not know yuv420p, and of those that keep alpha.
_OWN_FORMATS = {"prores_ks": "yuv422p10le", "qtrle": "rgb24"}
_ALPHA_FORMATS = {
    "prores_ks": "yuva444p10le",
    "qtrle": "argb",
    "libvpx": "yuva420p",
    "libvpx-vp9": "yuva420p",
}
# Containers that say of a stream that it has alpha, by the encoders above.
_ALPHA_ENDINGS = {"prores_ks": (".mov", ".mkv"), "qtrle": (".mov",)}
_FIELD_ENCODERS = ("libx264", "mpeg2video")  # they mark frames as two fields


@dataclasses.dataclass(frozen=True)
class EncodeSettings(Checked):
    """How the picture is encoded.

    Attributes:
        codec: Name of the encoder: libx264, libx265, libvpx-vp9, libsvtav1, or one of
            the hardware, such as h264_nvenc, hevc_nvenc, h264_qsv, h264_videotoolbox.
            Transparency is kept by prores_ks and qtrle in .mov, libvpx-vp9 in .webm.
        quality: Constant quality, lower is better: 16 looks lossless with libx264.
        preset: Speed of libx264 and libx265: ultrafast to veryslow. Superfast at 16
            looks like veryfast at 17 (SSIM of three clips .9957, .9934, .9948 and
            .9959, .9931, .9948), takes two thirds of the time, and makes files larger
            by a fifth; medium at 18 looks alike, makes them smaller by a tenth and
            takes three to five times as long.
        pixel_format: yuv420p plays everywhere, yuv444p keeps full colour resolution.
        segment_frames: Frames a segment; what is lost at most when a run is killed.

    Raises:
        ValueError: If a number is out of range.
    """

    codec: str = "libx264"
    quality: int = ranged(16, low=0, high=63)
    preset: str = "superfast"
    pixel_format: str = "yuv420p"
    segment_frames: int = ranged(240, low=1)

    def format_of(self, alpha: bool = False) -> str:
        """Returns the pixel format that is encoded.

        Args:
            alpha: Whether with alpha; only for encoders that keep it.
        """
        if alpha:
            return _ALPHA_FORMATS[self.codec]
        default = EncodeSettings.pixel_format
        own = _OWN_FORMATS.get(self.codec, default)
        return own if self.pixel_format == default else self.pixel_format

    def keeps_alpha(self, output: str | os.PathLike) -> bool:
        """Returns whether a file of this kind and codec can say what is transparent.

        Args:
            output: The file.
        """
        endings = _ALPHA_ENDINGS.get(self.codec, (".webm", ".mkv"))
        return (
            self.codec in _ALPHA_FORMATS
            and pathlib.Path(output).suffix.lower() in endings
        )

    def segment_ending(self, alpha: bool = False) -> str:
        """Returns what the names of segments end in, which says their container.

        Args:
            alpha: Whether the picture has alpha.
        """
        if self.codec in _OWN_FORMATS:
            return ".mov"
        return ".mkv" if alpha else ".nut"

    @property
    def keeps_fields(self) -> bool:
        """Whether the encoder marks frames of two fields as such."""
        return self.codec in _FIELD_ENCODERS

    @property
    def options(self) -> dict[str, str]:
        """The encoder's own options for this quality and preset."""
        for name, make in QUALITY.items():
            if name in self.codec:
                return make(self.quality, self.preset)
        return {}

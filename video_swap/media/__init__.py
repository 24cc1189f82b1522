"""Clips in and out: frames with exact times, streams beside them, pictures as clips."""

__all__ = ["containers", "pictures", "video_reader"]

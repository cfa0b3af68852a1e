"""What `lr info` says of videos: which decoders load here, and which encoders open."""

from __future__ import annotations

from lerobot_datasets.video import decode, encode

#: How torchcodec begins to say that it finds no FFmpeg.
_NO_FFMPEG = "Could not load libtorchcodec"
_LINKED = "FFmpeg 4 to 8 is not found; PyAV's serves: export LD_LIBRARY_PATH=$(python -m lerobot_datasets.video.links)"


def found() -> dict[str, list[str] | str]:
    """Decoders in the order they are preferred, why torchcodec is not among them if so, and the encoders that open."""
    problem = decode.torchcodec_problem()
    return {
        "decoders": ["pyav"] if problem else ["pyav", "torchcodec"],
        "torchcodec": "loads" if not problem else _LINKED if problem.startswith(_NO_FFMPEG) else problem,
        "encoders": [name for name in (*encode.SOFTWARE, *encode.HARDWARE) if encode.opens(name)],
    }

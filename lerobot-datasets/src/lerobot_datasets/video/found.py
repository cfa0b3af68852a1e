"""What `lr info` says of videos: which decoders load here, and which encoders open."""

from __future__ import annotations

from lerobot_datasets.video import decode, encode


def found() -> dict[str, list[str] | str]:
    """Decoders in the order they are preferred, why torchcodec is not among them if so, and the encoders that open."""
    problem = decode.torchcodec_problem()
    return {
        "decoders": ["pyav"] if problem else ["pyav", "torchcodec"],
        "torchcodec": problem or "loads",
        "encoders": [name for name in (*encode.SOFTWARE, *encode.HARDWARE) if encode.opens(name)],
    }

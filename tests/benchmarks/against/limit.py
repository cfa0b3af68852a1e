"""What decoding alone allows: `python limit.py random|sequential FOLDER SECONDS`, frames of one camera by torchcodec."""

from __future__ import annotations

from pathlib import Path

import torch
from measure import CAMERAS, main, rate


def decoder(folder: str) -> object:
    from torchcodec.decoders import VideoDecoder

    torch.set_num_threads(1)
    path = next((Path(folder) / "video" / "videos" / CAMERAS[0]).glob("*/*.mp4"))
    return VideoDecoder(str(path), seek_mode="approximate", num_ffmpeg_threads=1)


def random(folder: str, seconds: str) -> dict[str, float]:
    """Single frames in random order."""
    frames = decoder(folder)
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(0)).tolist()
    return rate((1 for i in order if frames.get_frame_at(i)), float(seconds))


def pairs(folder: str, seconds: str) -> dict[str, float]:
    """Pairs of neighbours in random order, as windows of two steps want them; counted in pairs."""
    frames = decoder(folder)
    order = torch.randperm(len(frames) - 1, generator=torch.Generator().manual_seed(0)).tolist()
    return rate((1 for i in order if frames.get_frames_at([i, i + 1])), float(seconds))


def sequential(folder: str, seconds: str) -> dict[str, float]:
    """Frames in order."""
    frames = decoder(folder)
    return rate((1 for i in range(len(frames)) if frames.get_frame_at(i)), float(seconds))


if __name__ == "__main__":
    main({f.__name__: f for f in (random, pairs, sequential)})

"""Options of the `lerobot` dataset backend. Knows no files and no libraries."""

from __future__ import annotations

from typing import Literal

import attrs

VideoCodec = Literal[
    "libsvtav1",
    "av1",
    "h264",
    "hevc",
    "libaom-av1",
    "auto",
    "h264_videotoolbox",
    "hevc_videotoolbox",
    "h264_nvenc",
    "hevc_nvenc",
    "h264_vaapi",
    "h264_qsv",
]


@attrs.frozen(kw_only=True)
class EncoderConfig:
    """How cameras are encoded.

    Attributes:
        vcodec: encoder; `auto` takes the first hardware encoder that opens, else libsvtav1.
        pix_fmt: pixel format of the stream.
        g: frames from one key frame to the next; small makes random reads fast.
        crf: quality, lower is better.
        preset: speed preset of the encoder; 12 for libsvtav1 and the encoder's own for others when not set.
        fast_decode: 0 to 2, how much the encoder favours fast decoding.
        threads: encoder threads per camera; the encoder decides when not set.
        extra_options: further options of the encoder in FFmpeg's names; those above go before them.
        queue_size: frames that may wait for the encoder of one camera.
        when_full: a frame that finds the queue full is dropped and counted (drop), or the recorder waits (wait).
    """

    vcodec: VideoCodec = "libsvtav1"
    pix_fmt: str = "yuv420p"
    g: int = 2
    crf: int = 30
    preset: int | str | None = None
    fast_decode: int = 0
    threads: int | None = None
    extra_options: dict[str, str] = attrs.field(factory=dict)
    queue_size: int = 30
    when_full: Literal["drop", "wait"] = "drop"

    def __attrs_post_init__(self) -> None:
        if self.g < 1:
            raise ValueError(f"g is 1 frame or more, got {self.g}")
        if self.queue_size < 1:
            raise ValueError(f"queue_size is 1 frame or more, got {self.queue_size}")
        if self.fast_decode not in (0, 1, 2):
            raise ValueError(f"fast_decode is 0, 1 or 2, got {self.fast_decode}")


#: Depth cameras: 12-bit codes without loss. As nothing is lost, the fastest preset differs in size alone.
DEPTH = EncoderConfig(
    vcodec="hevc", pix_fmt="gray12le", preset="ultrafast", extra_options={"x265-params": "lossless=1"}
)


@attrs.frozen(kw_only=True)
class LeRobotBackendConfig:
    """A LeRobotDataset folder of v3.0; of v2.1 and v2.0 for reading.

    Attributes:
        repo_id: name of the dataset, as `user/name`.
        root: its folder; $HF_LEROBOT_HOME/<repo_id> when not set. For streaming also an address, as s3://bucket/set.
        revision: version tag, branch or commit on the Hub.
        vcodec: video encoder for recording.
        encoder: further options of the video encoder.
        video_backend: decoder for reading; pyav when not set.
        tolerance_s: how far a stored time may be from the frame it names [s].
        download_videos: fetch the videos along with the tables.
        return_uint8: give pictures as uint8 instead of float32 in [0, 1] to torch.
        private: only its owner may see the repository that a recording is pushed to.
        tags: tags named in the card of a recording that is pushed, beside LeRobot.
        depth_output_unit: unit of depth pictures and their statistics.
        streaming: train from tables and videos that stay where they are, in the order of a shuffle buffer.
        buffer_size: frame numbers that streaming draws from.
        max_num_shards: parts of the dataset that streaming fills the buffer from at a time.
        video_cache_mb: what open decoders and recent frames of a process may take together, 128 when not set [MiB].
        data_files_size_in_mb: a table file is closed at this size [MiB].
        video_files_size_in_mb: a video file is closed at this size [MiB].
    """

    repo_id: str
    root: str | None = attrs.field(default=None, converter=attrs.converters.optional(str))
    revision: str | None = None
    vcodec: VideoCodec | None = None
    encoder: EncoderConfig = EncoderConfig()
    video_backend: Literal["torchcodec", "pyav"] | None = None
    tolerance_s: float = 1e-4
    download_videos: bool = True
    return_uint8: bool = False
    private: bool = False
    tags: list[str] = attrs.field(factory=list)
    depth_output_unit: Literal["mm", "m"] = "mm"
    streaming: bool = False
    buffer_size: int = 1000
    max_num_shards: int = 16
    video_cache_mb: int | None = None
    data_files_size_in_mb: int = 100
    video_files_size_in_mb: int = 200

    def __attrs_post_init__(self) -> None:
        if not self.repo_id.strip("/"):
            raise ValueError("repo_id is empty; give user/name")
        if self.buffer_size < 1 or self.max_num_shards < 1:
            raise ValueError("buffer_size and max_num_shards are 1 or more")
        if self.data_files_size_in_mb < 1 or self.video_files_size_in_mb < 1:
            raise ValueError("data_files_size_in_mb and video_files_size_in_mb are 1 MiB or more")

        if self.video_cache_mb is not None and self.video_cache_mb < 0:
            raise ValueError(f"video_cache_mb is 0 MiB or more, got {self.video_cache_mb}")

    @property
    def encoding(self) -> EncoderConfig:
        """The encoder's options with `vcodec` put in."""
        return self.encoder if self.vcodec is None else attrs.evolve(self.encoder, vcodec=self.vcodec)

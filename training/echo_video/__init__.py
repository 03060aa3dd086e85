"""Echo clips from files to cached embeddings of a teacher; see docs/echo-video.md."""

from training.echo_video.clip import (
    LIMITS,
    BadFileError,
    Clip,
    EchoFileError,
    NotAClipError,
    ReadLimits,
)
from training.echo_video.embed import (
    EchoEmbeddings,
    embed_studies,
    file_stem,
    folder_name,
    read_embeddings,
)
from training.echo_video.frames import (
    ECHOCLIP_FRAMES,
    FrameSpec,
    normalise,
    prepare_frames,
    resize_area,
)
from training.echo_video.read import read_clip
from training.echo_video.sector import clean

__all__ = [
    "ECHOCLIP_FRAMES",
    "LIMITS",
    "BadFileError",
    "Clip",
    "EchoEmbeddings",
    "EchoFileError",
    "FrameSpec",
    "NotAClipError",
    "ReadLimits",
    "clean",
    "embed_studies",
    "file_stem",
    "folder_name",
    "normalise",
    "prepare_frames",
    "read_clip",
    "read_embeddings",
    "resize_area",
]

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
    framewise,
    in_part,
    part_folder,
    read_embeddings,
    settings_of,
)
from training.echo_video.folder import echo_files
from training.echo_video.frames import (
    ECHOCLIP_FRAMES,
    FrameSpec,
    normalise,
    prepare_frames,
    resize_area,
)
from training.echo_video.own_teacher import OwnTeacher, beat_frames, load_teacher_folder
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
    "OwnTeacher",
    "ReadLimits",
    "beat_frames",
    "clean",
    "echo_files",
    "embed_studies",
    "file_stem",
    "folder_name",
    "framewise",
    "in_part",
    "load_teacher_folder",
    "normalise",
    "part_folder",
    "prepare_frames",
    "read_clip",
    "read_embeddings",
    "resize_area",
    "settings_of",
]

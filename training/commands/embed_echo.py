"""`embed-echo`: echo files to the cached embeddings of a frozen teacher."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from training.commands import teachers
from training.commands.ingest import share

if TYPE_CHECKING:
    from training.commands import Commands


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "embed-echo",
        help="embed echo clips with a frozen teacher; goes on where it stopped",
        description="Embed every DICOM, AVI and MP4 clip below a folder and store, for each study, "
        "the distribution of its frames. Bad files are listed and end nothing. The same command "
        "goes on where an earlier one stopped. See docs/echo-video.md.",
    )
    parser.add_argument("--echo", type=Path, required=True, metavar="DIR", help="folder of echoes")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the embeddings"
    )
    parser.add_argument(
        "--study",
        choices=("auto", "folder", "file"),
        default="auto",
        help="what a study is (default: a folder if named as in MIMIC-IV-ECHO, else a file)",
    )
    parser.add_argument("--stride", type=int, default=1, help="take every how-many-th frame")
    parser.add_argument("--max-frames", type=int, help="take at most so many frames of a clip")
    parser.add_argument(
        "--shard",
        type=share,
        metavar="I/N",
        help="embed only the studies of task I of N, counted from 0, for arrays of jobs",
    )
    teachers.add_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    teachers.check(options)
    import dataclasses

    from model_core.teachers import EchoClip
    from training.echo_video import (
        ECHOCLIP_FRAMES,
        echo_files,
        embed_studies,
        framewise,
        in_part,
        part_folder,
    )

    study_of = echo_files(options.echo, options.study)
    out = options.out
    if options.shard:
        task, of = options.shard
        study_of = {path: study for path, study in study_of.items() if in_part(study, task, of)}
        out = part_folder(out, task, of)
    teacher = teachers.load(options)
    spec = ECHOCLIP_FRAMES if isinstance(teacher, EchoClip) else teacher.spec
    spec = dataclasses.replace(spec, stride=options.stride, max_frames=options.max_frames)
    embed_clip = (
        framewise(teacher.frames, spec) if isinstance(teacher, EchoClip) else teacher.embed_clip
    )
    counts = embed_studies(
        study_of, embed_clip, out, teacher=teacher.name, spec=spec, study_of=study_of.__getitem__
    )
    used = counts.pop("used", 0)
    print(f"{out} holds the embeddings of {used:,} {'clip' if used == 1 else 'clips'}.")
    if counts:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
        print(f"Left out: {reasons}; unused_files.csv in the folder lists them.")
    return 0

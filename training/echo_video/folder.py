"""Which files of a folder are echoes, and which study each belongs to."""

from __future__ import annotations

import os
import re
from pathlib import Path

from model_core.errors import EchoingError
from training.echo_video.embed import file_stem, folder_name

_ENDINGS = {".dcm", ".dicom", ".avi", ".mp4", ".m4v", ".mov"}
_MIMIC_STUDY = re.compile(r"s\d{6,}")


def echo_files(root: Path, study_of: str = "auto") -> dict[Path, str]:
    """Find echo files by their endings, in all folders below, with the study of each.

    Parameters
    ----------
    root
        Tree of MIMIC-IV-ECHO, or any folder.
    study_of
        ``folder``: a study is a folder; ``file``: a file; ``auto``: a folder named as in
        MIMIC-IV-ECHO (s94106955), else a file.

    Raises
    ------
    EchoingError
        If there is no such file, or two files in different folders would be one study.
    """
    if not root.is_dir():
        raise EchoingError(f"The folder of echoes {root} does not exist.", code="missing_data")
    found: dict[Path, str] = {}
    folder_of: dict[str, Path] = {}
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if path.suffix.lower() not in _ENDINGS or name.startswith("."):
                continue
            whole = study_of == "folder" or (
                study_of == "auto" and _MIMIC_STUDY.fullmatch(path.parent.name)
            )
            study = folder_name(path) if whole else file_stem(path)
            if folder_of.setdefault(study, path.parent) != path.parent:
                raise EchoingError(
                    f"Two studies would be named {study}: in {folder_of[study]} and {path.parent}.",
                    hint="Say with --study whether a study is a folder or a file.",
                    code="ambiguous_study",
                )
            found[path] = study
    if not found:
        raise EchoingError(f"There is no echo (DICOM, AVI or MP4) in {root}.", code="missing_data")
    return found

"""Embeddings of echo studies by a frozen teacher, cached so that a killed run goes on.

In the output folder:

- ``settings.json``: what the cache was made with; another teacher or other frames are refused.
- ``pending/``: one file a finished study, until enough of them fill a shard.
- ``shards/00000.json``: studies of a shard, their files and what became of them. It is written
  last: a shard without it does not exist. Beside it ``00000.mean.npy`` and ``.log_var.npy``,
  (studies, D), and ``.frames.npy``, (frames of all studies, D), all float32.
- ``unused_files.csv``: skipped and bad files with the reason.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model_core.errors import EchoingError
from model_core.teachers import study_distribution
from training.checkpoint import load_json, save_json, write_atomic
from training.echo_video.clip import LIMITS, EchoFileError, Grey, NotAClipError, ReadLimits
from training.echo_video.frames import ECHOCLIP_FRAMES, FrameSpec, normalise, prepare_frames
from training.echo_video.read import read_clip
from training.progress import Progress

FloatArray = NDArray[np.float32]
EmbedFrames = Callable[[FloatArray], "NDArray[np.floating] | torch.Tensor"]
# From (T, size, size) cleaned frames and their times, s, to (frames, D) unit vectors.
EmbedClip = Callable[[Grey, "NDArray[np.float64] | None"], "NDArray[np.floating] | torch.Tensor"]

# One is raised when what is stored, or how frames are cleaned, changes.
_CACHE_VERSION = 1
_FRAMES_AT_ONCE = 64
_UNIT_TOLERANCE = 1e-3


def folder_name(path: Path) -> str:
    """Study of a file in the layout of MIMIC-IV-ECHO: ``.../s94106955/94106955_0001.dcm``."""
    return path.parent.name


def file_stem(path: Path) -> str:
    """Study of a file where each file is one: ``dicom/90000001.dcm``."""
    return path.stem


def framewise(embed_frames: EmbedFrames, spec: FrameSpec) -> EmbedClip:
    """Embed each frame of a clip by itself, as EchoCLIP does.

    Parameters
    ----------
    embed_frames
        (n, 3, size, size) float32, normalised, n at most 64, to (n, D) unit vectors.
    spec
        How frames are normalised.
    """

    def embed_clip(grey: Grey, times_s: NDArray[np.float64] | None) -> FloatArray:
        del times_s
        starts = range(0, len(grey), _FRAMES_AT_ONCE)
        batches = [normalise(grey[start : start + _FRAMES_AT_ONCE], spec) for start in starts]
        return np.concatenate([_array(embed_frames(batch)) for batch in batches])

    return embed_clip


def _array(embedded: NDArray[np.floating] | torch.Tensor) -> FloatArray:
    if isinstance(embedded, torch.Tensor):
        embedded = embedded.detach().cpu().float().numpy()
    return np.asarray(embedded, np.float32)


def embed_studies(
    paths: Iterable[Path],
    embed_clip: EmbedClip,
    out: Path,
    *,
    teacher: str,
    study_of: Callable[[Path], str] = folder_name,
    spec: FrameSpec = ECHOCLIP_FRAMES,
    limits: ReadLimits = LIMITS,
    studies_per_shard: int = 256,
) -> dict[str, int]:
    """Embed every usable clip and store, for each study, the distribution of its frames.

    The distribution is that of all frames of all clips of the study, as EchoingECG makes its
    target (Gao et al., MICCAI 2025): the mean brought to unit length, and the logarithm of the
    population variance plus 1e-8.

    A call with the same folder goes on where an earlier one ended: finished studies are kept as
    they are, with their bad files.

    Parameters
    ----------
    paths
        Echo files.
    embed_clip
        Frozen teacher, from a clip to one unit vector a frame; see `framewise`.
    out
        Folder of the cache.
    teacher
        Name of the teacher and its weights; kept with the cache.
    study_of
        Name of the study of a file.
    spec
        What frames the teacher takes.
    limits
        How much a file may ask for.
    studies_per_shard
        Finished studies that are put into one shard.

    Returns
    -------
    dict
        How many files were ``used``, and how many were left out for each reason.

    Raises
    ------
    EchoingError
        If the folder holds another cache, or the teacher gives anything but unit vectors. A bad
        file never raises.
    """
    _check_settings(out, {"teacher": teacher, **dataclasses.asdict(spec)})
    files_of: dict[str, list[Path]] = {}
    for path in paths:
        files_of.setdefault(study_of(path), []).append(path)
    finished = _finished(out)
    missing = sorted(files_of.keys() - finished)
    progress = Progress("Echo studies", len(files_of), len(files_of) - len(missing))
    for study in missing:
        frames, files = _embed_study(sorted(files_of[study]), embed_clip, spec, limits)
        _save_study(out, study, frames, files)
        _pack(out, studies_per_shard)
        progress.step()
    _pack(out, 1)
    return _list_files(out)


def _embed_study(
    paths: Sequence[Path], embed_clip: EmbedClip, spec: FrameSpec, limits: ReadLimits
) -> tuple[FloatArray, list[dict[str, Any]]]:
    """Embed the clips of a study: (frames, D), and what became of each file."""
    embedded: list[FloatArray] = []
    files: list[dict[str, Any]] = []
    for path in paths:
        entry: dict[str, Any] = {"path": str(path), "n_frames": 0}
        try:
            clip = read_clip(path, stride=spec.stride, max_frames=spec.max_frames, limits=limits)
            grey = prepare_frames(clip, spec)
        except EchoFileError as error:
            outcome = "skipped" if isinstance(error, NotAClipError) else "bad"
            files.append({**entry, "outcome": outcome, "reason": error.code, "text": str(error)})
            continue
        embedded.append(_unit_vectors(embed_clip(grey, clip.times_s)))
        entry |= {"outcome": "used", "n_frames": len(embedded[-1]), "text": clip.note}
        if clip.times_s is not None:
            entry["duration_s"] = float(clip.times_s[-1])
        files.append(entry)
    return np.concatenate(embedded) if embedded else np.empty((0, 0), np.float32), files


def _unit_vectors(embedded: NDArray[np.floating] | torch.Tensor) -> FloatArray:
    vectors = _array(embedded)
    lengths = np.linalg.norm(vectors, axis=-1)
    if vectors.ndim != 2 or not len(vectors) or not (np.abs(lengths - 1) < _UNIT_TOLERANCE).all():
        raise EchoingError(
            "The teacher must give one vector of length 1 for each frame.", code="bad_embedding"
        )
    return vectors


def _check_settings(out: Path, settings: dict[str, Any]) -> None:
    path = out / "settings.json"
    settings = json.loads(json.dumps({**settings, "cache_version": _CACHE_VERSION}))
    if not path.exists():
        save_json(path, settings)
    elif load_json(path) != settings:
        raise EchoingError(
            f"The folder {out} holds embeddings of another teacher or of other frames.",
            hint="Choose an empty folder.",
            code="other_settings",
        )


def _shards(out: Path) -> list[Path]:
    """Descriptions of the finished shards, in order."""
    return sorted((out / "shards").glob("[0-9]*.json"))


def _pending(out: Path) -> list[Path]:
    return sorted((out / "pending").glob("*.npz"))


def _finished(out: Path) -> set[str]:
    """Names of the finished studies; tidies up what a kill between two steps left behind."""
    packed = {entry["study"] for shard in _shards(out) for entry in load_json(shard)}
    pending: set[str] = set()
    for path in _pending(out):
        study = _load_study(path)[0]["study"]
        if study in packed:
            path.unlink()
        else:
            pending.add(study)
    return packed | pending


def _save_study(out: Path, study: str, frames: FloatArray, files: list[dict[str, Any]]) -> None:
    entry = json.dumps({"study": study, "n_frames": len(frames), "files": files}).encode()
    name = hashlib.sha256(study.encode()).hexdigest()[:32]
    arrays = {"entry": np.frombuffer(entry, np.uint8), "frames": frames}
    write_atomic(out / "pending" / f"{name}.npz", lambda file: np.savez(file, **arrays))


def _load_study(path: Path) -> tuple[dict[str, Any], FloatArray]:
    with np.load(path, allow_pickle=False) as stored:
        return json.loads(stored["entry"].tobytes()), stored["frames"]


def _pack(out: Path, at_least: int) -> None:
    """Move the finished studies into a new shard, if there are at least so many."""
    pending = _pending(out)
    if len(pending) < at_least:
        return
    studies = sorted((_load_study(path) for path in pending), key=lambda item: item[0]["study"])
    frames = [frames for _, frames in studies if len(frames)]
    folder, name = out / "shards", f"{len(_shards(out)):05d}"
    if frames:
        gaussians = [study_distribution(torch.from_numpy(f).double()[None]) for f in frames]
        arrays = {
            "mean": torch.cat([mean for mean, _ in gaussians]).float().numpy(),
            "log_var": torch.cat([log_var for _, log_var in gaussians]).float().numpy(),
            "frames": np.concatenate(frames),
        }
        for kind, array in arrays.items():
            _save_array(folder / f"{name}.{kind}.npy", array)
    save_json(folder / f"{name}.json", [entry for entry, _ in studies])
    for path in pending:
        path.unlink()


def _save_array(path: Path, array: FloatArray) -> None:
    write_atomic(path, lambda file: np.save(file, array, allow_pickle=False))


def _list_files(out: Path) -> dict[str, int]:
    """Write the list of files left out; count files by what became of them."""
    counts: Counter[str] = Counter()
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["path", "study", "outcome", "reason", "text"])
    for shard in _shards(out):
        for study in load_json(shard):
            for file in study["files"]:
                if file["outcome"] == "used":
                    counts["used"] += 1
                    continue
                counts[file["reason"]] += 1
                row = [file[key] for key in ("outcome", "reason", "text")]
                table.writerow([file["path"], study["study"], *row])
    write_atomic(out / "unused_files.csv", lambda file: file.write(text.getvalue().encode()))
    return dict(counts)


@dataclass(frozen=True, eq=False)
class EchoEmbeddings:
    """A cache, read.

    Attributes
    ----------
    studies
        Names of the n studies with at least one usable clip.
    mean, log_var
        (n, D) float32, Gaussian of each study.
    frames
        For each study its (frames, D) float32 embeddings, left on disk until touched.
    """

    studies: tuple[str, ...]
    mean: FloatArray
    log_var: FloatArray
    frames: tuple[FloatArray, ...]


def part_folder(out: Path, task: int, of: int) -> Path:
    """Folder in which one of several tasks embeds its studies."""
    return out / f"part-{task:05d}-of-{of:05d}"


def in_part(study: str, task: int, of: int) -> bool:
    """Whether a study belongs to a task; the same for ever, whatever else is in the archive."""
    return int.from_bytes(hashlib.sha256(study.encode()).digest()[:8], "big") % of == task


def _folders(out: Path) -> list[Path]:
    """Folders of a cache: itself, or the parts that several tasks made.

    Raises
    ------
    EchoingError
        If parts are missing or were made with other settings than the rest.
    """
    parts = sorted(out.glob("part-*-of-*"))
    if not parts:
        return [out]
    of = int(parts[0].name.rpartition("-")[2])
    expected = [part_folder(out, task, of) for task in range(of)]
    # The list of unused files is what a task writes last.
    missing = [p for p in expected if not (p / "unused_files.csv").exists()]
    if missing or parts != expected:
        raise EchoingError(
            f"{out} is not finished: {len(missing)} of {of} tasks have not ended"
            + (
                f", such as {missing[0].name}."
                if missing
                else ", or parts of other tasks lie there."
            ),
            code="unfinished_parts",
        )
    if len({(part / "settings.json").read_bytes() for part in parts}) != 1:
        raise EchoingError(
            f"The parts in {out} hold embeddings of different teachers or frames.",
            code="other_settings",
        )
    return parts


def settings_of(out: Path) -> dict[str, Any]:
    """Teacher and frames that a cache was made with.

    Raises
    ------
    EchoingError
        If the folder is no cache.
    """
    path = _folders(out)[0] / "settings.json"
    if not path.exists():
        raise EchoingError(f"The folder {out} holds no echo embeddings.", code="no_embeddings")
    return load_json(path)


def read_embeddings(out: Path) -> EchoEmbeddings:
    """Read what `embed_studies` stored, in one folder or in the parts of several tasks.

    Raises
    ------
    EchoingError
        If no study has a usable clip, or the parts do not belong together.
    """
    studies: list[str] = []
    means: list[FloatArray] = []
    log_vars: list[FloatArray] = []
    frames: list[FloatArray] = []
    for shard in (shard for folder in _folders(out) for shard in _shards(folder)):
        entries = [entry for entry in load_json(shard) if entry["n_frames"]]
        if not entries:
            continue
        stored = {
            kind: np.load(shard.with_suffix(f".{kind}.npy"), mmap_mode="r", allow_pickle=False)
            for kind in ("mean", "log_var", "frames")
        }
        studies += [entry["study"] for entry in entries]
        means.append(stored["mean"])
        log_vars.append(stored["log_var"])
        ends = np.cumsum([entry["n_frames"] for entry in entries])
        frames += np.split(stored["frames"], ends[:-1])
    if not studies:
        raise EchoingError(f"The folder {out} holds no embedded study.", code="no_embeddings")
    return EchoEmbeddings(
        tuple(studies), np.concatenate(means), np.concatenate(log_vars), tuple(frames)
    )

"""A cohort from archives: ingested ECGs, echoes paired with them, embeddings of the echoes."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_core.errors import EchoingError
from model_core.measures import MEASURES
from model_core.preprocess import PreprocessSpec
from training.checkpoint import load_json, save_json
from training.cohort import Cohort, FloatArray, IntArray, Split, assert_disjoint, names_of_records
from training.echo_video import EchoEmbeddings, read_embeddings
from training.ingest import ShardStore, check_disjoint
from training.ingest.prepared import Part, Scale, is_prepared, moments, write_prepared
from training.ingest.shards import file_sha256
from training.ingest.statements import stated_about
from training.ingest.studies import Studies, own_studies, paired_studies, study_key
from training.simulated_cohort import noise_bank

SPEC = PreprocessSpec()
# Share of the training patients that nothing trains on: they watch the training.
HELD_OUT_SHARE = 0.02
# Patients with a measure. Fewer to calibrate on give no two-sided 90 % interval at all.
_NEEDED = {Split.TRAIN: 1, Split.CALIBRATION: 19, Split.TEST: 1}
# Recordings that a scale is found from.
SCALE_RECORDS = 4096
N_NOISE = 600
# Of the embedding, where no teacher has embedded any echo: the ECG-text loss alone uses it.
UNTAUGHT_DIM = 64

_NAMES = {
    "ptbxl": "PTB-XL",
    "mimic-iv-ecg": "MIMIC-IV-ECG",
    "echonext": "EchoNext",
    "music": "MUSIC",
}
_SPLITS = {"train": Split.TRAIN, "validation": Split.CALIBRATION, "test": Split.TEST}


@dataclass(frozen=True)
class Archives:
    """What a cohort is made from.

    Attributes
    ----------
    stores
        Folders of ingested ECGs.
    echo
        Folder of ``echo.parquet`` by the store (its folder) that it belongs to.
    embeddings
        Folder of embedded echoes, or None.
    window_days
        An echo belongs to an ECG if no more days lie between them.
    """

    stores: Sequence[Path]
    echo: dict[Path, Path] = field(default_factory=dict)
    embeddings: Path | None = None
    window_days: float = 30.0


@dataclass(frozen=True)
class Plan:
    """Everything about a cohort but its signals.

    Attributes
    ----------
    stores, rows
        Stores, one in mV first, and the rows taken from the index of each.
    table
        Fields of `Cohort`.
    left_out
        By source, recordings left out by reason.
    pairs
        By source, ECGs with an echo no further than so many days.
    notes
        Sentences on what was left out of the table.
    """

    stores: list[ShardStore]
    rows: list[IntArray]
    table: dict[str, Any]
    left_out: dict[str, dict[str, int]]
    pairs: dict[str, dict[str, int]]
    notes: list[str]

    @property
    def n_records(self) -> int:
        """Recordings in all."""
        return sum(map(len, self.rows))


@dataclass
class _Source:
    """One store on its way into the cohort; rows are those of `store.index` that are kept."""

    name: str
    store: ShardStore
    rows: IntArray
    patient: NDArray[Any]
    split: IntArray
    left_out: Counter[str]
    studies: Studies


def plan_cohort(archives: Archives) -> Plan:
    """Choose records, split patients, pair echoes; reads tables only.

    Raises
    ------
    EchoingError
        If a store or table cannot be used, a patient is in two splits, or training, calibration
        or test would have nothing to learn from.
    """
    embeddings = read_embeddings(archives.embeddings) if archives.embeddings else None
    stores = sorted((ShardStore(folder) for folder in archives.stores), key=_in_mv, reverse=True)
    if not _in_mv(stores[0]):
        raise EchoingError(
            "None of the stores is in mV: EchoNext's waveforms were standardised before they were "
            "published.",
            hint="Give a store in mV as well, PTB-XL for instance, whose scale they are put on.",
            code="not_in_mv",
        )
    sources = [
        _source(name, store, archives, embeddings)
        for name, store in zip(_source_names(stores), stores, strict=True)
    ]
    check_disjoint(
        pa.array(np.concatenate([source.patient for source in sources])),
        pa.array(np.concatenate([source.split for source in sources])),
    )
    _hold_out(sources)
    _drop_copies(sources)
    table = _table(sources, embeddings)
    notes = _drop_rare_measures(table)
    hashes = {source.name: file_sha256(source.store.folder / "manifest.json") for source in sources}
    for source in sources:
        if source.store.folder in archives.echo:
            echo = archives.echo[source.store.folder] / "echo.parquet"
            hashes[f"echoes of {source.name}"] = file_sha256(echo)
    if embeddings is not None:
        hashes["echo embeddings"] = _sha256_of_embeddings(embeddings)
    table["data_sha256"] = hashes
    return Plan(
        stores=stores,
        rows=[source.rows for source in sources],
        table=table,
        left_out={source.name: dict(source.left_out) for source in sources},
        pairs={source.name: source.studies.pairs for source in sources},
        notes=notes,
    )


def check_room(plan: Plan, folder: Path) -> None:
    """Raise before the work if the disk is too small for a planned cohort.

    Raises
    ------
    EchoingError
        Says what is needed and what is there.
    """
    per_record = 2 * len(SPEC.lead_names) * SPEC.n_samples
    noise = 4 * N_NOISE * len(SPEC.lead_names) * SPEC.n_samples
    # Text, labels and the like take less than 1 kB.
    needed = plan.n_records * (per_record + 1000) + noise + 2 * plan.table["teacher_mean"].nbytes
    begun = folder / "ecg_mv.npy"
    if begun.is_file():  # reserved by an earlier call, or replaced
        needed -= begun.stat().st_size
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if needed > free:
        raise EchoingError(
            f"The cohort needs {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free.",
            hint="Give a folder on a larger disk.",
            code="disk_full",
        )


def build_cohort(plan: Plan, folder: Path, *, workers: int) -> Cohort:
    """Prepare the signals of a planned cohort; goes on where an earlier call was stopped.

    Parameters
    ----------
    plan
        From `plan_cohort`.
    folder
        Where the cohort's files go; a cohort of archives that is there is replaced.
    workers
        Processes; their number does not change the result.

    Returns
    -------
    Cohort
        Its signals lie in `folder` already; `training.run.give_cohort` writes the rest.

    Raises
    ------
    EchoingError
        If the folder holds a cohort of another kind, or the disk is too small.
    """
    target = folder / "ecg_mv.npy"
    if (folder / "texts.json").exists() and not is_prepared(target):
        raise EchoingError(
            f"{folder} holds a cohort that was not made from archives.",
            hint="Choose another folder for the run.",
            code="other_settings",
        )
    check_room(plan, folder)
    for name in ("given.json", "texts.json"):  # not whole until the work is done
        (folder / name).unlink(missing_ok=True)
    parts = _parts(plan)
    made_from = [str(SPEC), *(file_sha256(part.store / "manifest.json") for part in parts)]
    text = "\n".join([*made_from, *map(_sha256, parts)])
    write_prepared(target, parts, SPEC, plan=text, workers=workers)
    save_json(folder / "archives.json", {"left_out": plan.left_out, "pairs": plan.pairs})
    cohort = Cohort(
        ecg_mv=np.load(target, mmap_mode="r"),
        noise_mv=noise_bank(N_NOISE, np.random.default_rng(0)),
        simulated_outcomes=False,
        **plan.table,
    )
    assert_disjoint(cohort)
    return cohort


def kind_of_store(folder: Path) -> str:
    """Layout that a store was made from; empty if there is no store."""
    path = folder / "settings.json"
    return str(load_json(path)["source"]) if path.is_file() else ""


def _in_mv(store: ShardStore) -> bool:
    return bool((store.index["unit"].to_numpy() == "mV").all())


def _source_names(stores: Sequence[ShardStore]) -> list[str]:
    """Name of each data set; that of the store's folder for a user's own, and where two agree."""
    kinds = [kind_of_store(store.folder) for store in stores]
    names = [
        _NAMES[kind] if kinds.count(kind) == 1 and kind in _NAMES else store.folder.resolve().name
        for kind, store in zip(kinds, stores, strict=True)
    ]
    if len(set(names)) < len(names):
        raise EchoingError(
            "Two stores have the same name.", hint="Rename one of the folders.", code="same_name"
        )
    return names


def _source(
    name: str, store: ShardStore, archives: Archives, embeddings: EchoEmbeddings | None
) -> _Source:
    rows, left_out = _usable(store)
    index = store.index.take(pa.array(rows))
    # Patients of one archive are the same in all stores of it; those of two archives never are.
    kind = kind_of_store(store.folder)
    owner = kind if kind in _NAMES else name
    embedded = {study_key(study) for study in embeddings.studies} if embeddings else set[str]()
    echo = archives.echo.get(store.folder)
    if echo is None:
        studies = own_studies(index, embedded)
    else:
        studies = paired_studies(index, name, echo, embedded, archives.window_days)
    return _Source(
        name=name,
        store=store,
        rows=rows,
        patient=np.array([f"{owner}:{who}" for who in index["patient_id"].to_pylist()], object),
        split=np.array([_SPLITS[word] for word in index["split"].to_pylist()], np.int64),
        left_out=left_out,
        studies=studies,
    )


def _usable(store: ShardStore) -> tuple[IntArray, Counter[str]]:
    """Rows that can become the network's input, and why others cannot."""
    index = store.index
    fs, n_samples = (index[name].to_numpy() for name in ("fs", "n_samples"))
    reasons = np.full(len(index), "", object)
    reasons[~index["lead_names"].is_null().to_numpy()] = "other leads than the standard twelve"
    high = min(SPEC.band_hz[1], 0.45 * SPEC.fs)
    reasons[fs <= 2 * high] = "sampled too slowly"
    reasons[n_samples < SPEC.duration_s * fs] = f"shorter than {SPEC.duration_s:g} s"
    for row, codes in enumerate(index["quality"].to_pylist()):
        if codes and not reasons[row]:
            reasons[row] = codes[0].replace("_", " ")
    reasons[(index["n_missing"].to_numpy() > 0) & (reasons == "")] = "missing samples"
    left_out = Counter(reasons[reasons != ""].tolist())
    if left_out.total() == len(index):
        why = ", ".join(f"{reason} ({n:,})" for reason, n in left_out.most_common())
        raise EchoingError(
            f"None of the {len(index):,} ECGs in {store.folder} can be used: {why}.",
            code="empty_source",
        )
    return np.flatnonzero(reasons == ""), left_out


def _hold_out(sources: Sequence[_Source]) -> None:
    """Move some training patients to HELD_OUT by a hash; one with an echo at least."""
    draws: dict[str, float] = {}
    paired: set[str] = set()
    for source in sources:
        training = source.split == Split.TRAIN
        for who in np.unique(source.patient[training]):
            digest = hashlib.sha256(f"held out:{who}".encode()).digest()
            draws[who] = int.from_bytes(digest[:8], "big") / 2**64
        paired.update(source.patient[training & (source.studies.of_record >= 0)])
    chosen = {who for who, draw in draws.items() if draw < HELD_OUT_SHARE}
    if len(paired) > 1 and not chosen & paired:
        chosen.add(min(paired, key=draws.__getitem__))
    for source in sources:
        training = source.split == Split.TRAIN
        held_out = np.array([who in chosen for who in source.patient], bool)
        source.split[training & held_out] = Split.HELD_OUT


def _drop_copies(sources: Sequence[_Source]) -> None:
    """Leave out of an earlier split what is, sample by sample, a recording of a later one.

    The same recording may be in two archives, under two patients.
    """
    owner: dict[str, tuple[Any, int]] = {}
    hashes = [source.store.index["sha256"].to_numpy()[source.rows] for source in sources]
    for split in (Split.TEST, Split.CALIBRATION, Split.HELD_OUT, Split.TRAIN):
        for source, sha256 in zip(sources, hashes, strict=True):
            for row in np.flatnonzero(source.split == split):
                owner.setdefault(sha256[row], (source.patient[row], split))
    for source, sha256 in zip(sources, hashes, strict=True):
        keep = np.array(
            [
                owner[sha][0] == who or owner[sha][1] == split
                for sha, who, split in zip(sha256, source.patient, source.split, strict=True)
            ],
            bool,
        )
        if not keep.all():
            source.left_out["copy of a recording in another split"] += int((~keep).sum())
            source.rows, source.patient = source.rows[keep], source.patient[keep]
            source.split = source.split[keep]
            source.studies.of_record = source.studies.of_record[keep]


def _table(sources: Sequence[_Source], embeddings: EchoEmbeddings | None) -> dict[str, Any]:
    """Fields of the cohort, all sources after one another."""
    _, patient = np.unique(np.concatenate([s.patient for s in sources]), return_inverse=True)
    offsets = np.cumsum([0, *(len(s.studies.ids) for s in sources)])
    of_record = np.concatenate(
        [
            np.where(s.studies.of_record >= 0, s.studies.of_record + offset, -1)
            for s, offset in zip(sources, offsets, strict=False)
        ]
    )
    ids = [study for source in sources for study in source.studies.ids]
    names = sorted({name for source in sources for name in source.studies.measures})
    measures = {
        name: np.concatenate(
            [
                s.studies.measures.get(name, np.full(len(s.studies.ids), np.nan, np.float32))
                for s in sources
            ]
        )
        for name in names
    }
    mean, log_var = _gaussians(ids, embeddings)
    stated = [stated_about(s.store.index.take(pa.array(s.rows))) for s in sources]
    labels = {
        name: np.concatenate([one.labels[name] for one in stated]) for name in stated[0].labels
    }
    return {
        "patient": patient,
        "split": np.concatenate([source.split for source in sources]),
        "source": np.repeat(np.arange(len(sources)), [len(s.rows) for s in sources]),
        "source_names": [source.name for source in sources],
        "first_study": np.maximum(of_record, 0),
        "n_studies": (of_record >= 0).astype(np.int64),
        "measures": measures,
        "clip_row": np.full(len(ids), -1),
        "teacher_mean": mean,
        "teacher_log_var": log_var,
        "ecg_text": [text for one in stated for text in one.texts],
        "record_ids": names_of_records(
            {s.name: s.store.index["record_id"].take(pa.array(s.rows)).to_pylist() for s in sources}
        ),
        # A finding that no ECG has teaches nothing.
        "ecg_labels": {name: values for name, values in labels.items() if (values == 1).any()},
        "groups": {
            name: [word for one in stated for word in one.groups[name]] for name in stated[0].groups
        },
    }


def _gaussians(
    ids: Sequence[str], embeddings: EchoEmbeddings | None
) -> tuple[FloatArray, FloatArray]:
    """Teacher's Gaussians of the studies, NaN for those that were not embedded."""
    if embeddings is None:
        nothing = np.full((len(ids), UNTAUGHT_DIM), np.nan, np.float32)
        return nothing, nothing
    row_of = {study_key(study): row for row, study in enumerate(embeddings.studies)}
    rows = np.array([row_of.get(study_key(name), -1) for name in ids], np.int64)
    if not (rows >= 0).any():
        raise EchoingError(
            "None of the embedded echoes belongs to an ECG of the stores.",
            hint=f"Echoes are named like '{embeddings.studies[0]}', the studies of the ECGs like "
            f"'{ids[0] if ids else '(there are none)'}'.",
            code="no_embeddings",
        )
    found = []
    for values in (embeddings.mean, embeddings.log_var):
        of_study = values[np.maximum(rows, 0)].astype(np.float32)
        of_study[rows < 0] = np.nan
        found.append(of_study)
    return found[0], found[1]


def _drop_rare_measures(table: dict[str, Any]) -> list[str]:
    """Leave out what the stages could not learn, calibrate or test; says what and why.

    Raises
    ------
    EchoingError
        If nothing is left.
    """
    notes: list[str] = []
    paired = table["n_studies"] > 0
    for key in [key for key in MEASURES if key in table["measures"]]:
        measured = np.zeros(len(paired), bool)
        measured[paired] = ~np.isnan(table["measures"][key][table["first_study"][paired]])
        for split, needed in _NEEDED.items():
            n_patients = len(np.unique(table["patient"][measured & (table["split"] == split)]))
            if n_patients < needed:
                notes.append(
                    f"{MEASURES[key].label} is left out: it was measured in {n_patients} patients "
                    f"of the {split.name.lower()} split, at least {needed} are needed."
                )
                del table["measures"][key]
                break
    if not MEASURES.keys() & table["measures"].keys():
        raise EchoingError(
            " ".join(notes) or "No LVEF, LVEDV or LVESV belongs to any of the ECGs.",
            hint="Give ECGs with labels, or echoes to pair with them, or a longer window.",
            code="too_few",
        )
    return notes


def _parts(plan: Plan) -> list[Part]:
    """Say what goes where, with the scale of what is not in mV."""
    firsts = np.cumsum([0, *map(len, plan.rows)])[:-1]
    training = plan.table["split"] == Split.TRAIN
    samples: list[tuple[ShardStore, IntArray]] = []
    for store, rows, first in zip(plan.stores, plan.rows, firsts, strict=True):
        chosen = rows[training[first : first + len(rows)]]
        samples.append((store, chosen[:: max(1, -(-len(chosen) // SCALE_RECORDS))]))
    scales: list[Scale | None] = [None] * len(samples)
    if not all(map(_in_mv, plan.stores)):
        in_mv = [sample for sample in samples if _in_mv(sample[0]) and len(sample[1])]
        for i, (store, rows) in enumerate(samples):
            if not _in_mv(store):
                if not in_mv or not len(rows):
                    raise EchoingError(
                        "There are no training recordings to find EchoNext's scale from.",
                        code="too_few",
                    )
                mean, spread = moments([(store, rows)], SPEC)
                scales[i] = Scale(mean, moments(in_mv, SPEC)[1] / spread)
    return [
        Part(store.folder, rows, int(first), scale)
        for store, rows, first, scale in zip(plan.stores, plan.rows, firsts, scales, strict=True)
    ]


def _sha256(part: Part) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(part.rows, np.int64).tobytes())
    if part.scale is not None:
        digest.update(part.scale.mean.tobytes() + part.scale.factor.tobytes())
    return digest.hexdigest()


def _sha256_of_embeddings(embeddings: EchoEmbeddings) -> str:
    digest = hashlib.sha256("\n".join(embeddings.studies).encode())
    digest.update(embeddings.mean.tobytes() + embeddings.log_var.tobytes())
    return digest.hexdigest()

"""Makes a model package of the files that the authors of EchoingECG released.

The network has no head for measures: they are read zero-shot, by the distance between the ECG's
distribution and those of sentences. Without labelled ECGs nothing is known of the error of such a
reading, so the package holds no calibration and the program withholds every measure.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from model_core.calibration import fit_platt, fit_widening
from model_core.errors import EchoingError
from model_core.export import MIN_PARITY_INPUTS, PackageModel, TextExport, write_package
from model_core.io import read_recording
from model_core.leads import STANDARD_LEADS
from model_core.measures import FINDINGS, MEASURES, Finding, Measure
from model_core.nn import ZeroShotHeads
from model_core.nn.published import PublishedStudent, ecg_geometry, token_edges_s
from model_core.nn.published_text import PublishedTextGraph
from model_core.nn.zero_shot_heads import PairPrompts, SweepPrompts
from model_core.preprocess import PreprocessSpec, prepare
from model_core.prompts import Prompts, load_prompts
from model_core.quality import assess
from model_core.runtime.manifest import (
    SCHEMA_VERSION,
    FindingOutput,
    Manifest,
    MeasureOutput,
    Provenance,
    SegmentOutput,
    TextSide,
)
from model_core.tokens import Splitting
from model_core.types import Recording
from training.batches import LOG_SPACE
from training.labelled_ecgs import LabelledEcgs, read_table
from training.progress import Progress
from training.published import (
    PublishedEncoders,
    PublishedTokenizer,
    embed_texts,
    load_encoders,
    read_scaler,
    read_tokenizer,
)
from training.simulation import sample_patients, simulate_ecg

LEVEL = 0.9
# From here on split-conformal coverage lies between 90 and 95 %; with fewer, 90 to 100 %.
MIN_PATIENTS = 19
# Of each outcome: ten for a parameter, of which scaling has one beside the prevalence.
MIN_EACH_OUTCOME = 10
N_CHECKED = 128
N_COMPARED = MIN_PARITY_INPUTS
_CHECK_FS = 500.0
_BATCH = 16
_MIN_MARGIN = 1e-3
LICENCE = (
    "CC BY-NC-ND 4.0, as the EchoingECG weights that this package was made from "
    "(Gao, Kim, McIntosh, MICCAI 2025): no commercial use, and neither the weights nor this "
    "package may be passed on in changed form. It is for use where it was made."
)
TEXT_KNOWS = (
    "The text encoder of the published weights: BERT for biomedical text, trained on ECG reports. "
    "Scale and shift of its match were not published, so there is no match probability."
)
CAVEAT = (
    "Made from the published EchoingECG weights (CC BY-NC-ND 4.0): no commercial use, do not pass "
    "on. Research use only."
)


class ReleasedFiles(NamedTuple):
    """The authors' files: state dict, scaler, and folder of the text encoder's tokenizer."""

    weights: Path
    scaler: Path
    tokenizer: Path


@dataclass(frozen=True, slots=True)
class _Calibration:
    """What the labelled ECGs gave; without any, everything is uncalibrated."""

    measures: tuple[MeasureOutput, ...]
    findings: tuple[FindingOutput, ...]
    words: str


def import_published(
    files: ReleasedFiles,
    out: Path,
    labelled: LabelledEcgs | None = None,
    prompts_path: Path | None = None,
) -> Manifest:
    """Make a model package of the released files; no code in them runs.

    Parameters
    ----------
    files
        As the authors released them.
    out
        Folder of the package; replaced if it is there.
    labelled
        ECGs with measured echoes, to calibrate on; one ECG a patient is used.
    prompts_path
        Sentences to read by; those of the program by default.

    Returns
    -------
    Manifest
        Of the package.

    Raises
    ------
    EchoingError
        If a file is missing, damaged or of another kind, or the labelled ECGs are too few.
    """
    prompts = load_prompts(prompts_path)
    encoders = load_encoders(files.weights)
    n_leads = ecg_geometry(encoders.ecg.state_dict()).n_leads
    if n_leads != len(STANDARD_LEADS):
        raise EchoingError(
            f"The weights are for {n_leads} leads; the program needs {len(STANDARD_LEADS)}.",
            code="not_published_weights",
        )
    scaler = read_scaler(files.scaler)
    if len(scaler.mean_mv) != n_leads:
        raise EchoingError(
            f"{files.scaler.name} holds {len(scaler.mean_mv)} means and scales, "
            f"but the weights are for {n_leads} leads.",
            hint="Give the scaler that was released with these weights.",
            code="scaler_does_not_fit",
        )
    spec = PreprocessSpec(mean_mv=scaler.mean_mv, scale_mv=scaler.scale_mv)
    tokenizer = read_tokenizer(files.tokenizer, encoders.text)
    heads = zero_shot_heads(prompts, encoders, tokenizer)
    model = PackageModel(PublishedStudent(encoders.ecg, spec.n_samples), heads).eval()
    if labelled:
        calibration, labelled_log_var = _calibrated(model, spec, labelled)
    else:
        calibration, labelled_log_var = _uncalibrated(), None
    checked = _checked_recordings()
    inputs = np.concatenate([prepare(recording, spec) for recording in checked])
    outputs = _run(model, inputs, "Simulated ECGs")
    segment_log_var = outputs.segment_log_var if labelled_log_var is None else labelled_log_var
    segments = _segment_output(model, spec, segment_log_var)
    manifest = _manifest(files, labelled, prompts, segments, spec, calibration)
    golden = int(outputs.margin.argmax())
    # Where two prompts all but tie at the edge of the nearest fifth, rounding decides which counts.
    clear = np.argsort(-outputs.margin)[
        : max(N_COMPARED, int((outputs.margin > _MIN_MARGIN).sum()))
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    return write_package(
        out,
        model,
        manifest,
        model_card=_model_card(manifest, prompts),
        golden_signal_mv=checked[golden].signal_mv,
        golden_fs=_CHECK_FS,
        golden_input_bls=inputs[golden : golden + 1],
        parity_inputs_bls=inputs[clear],
        texts=[_text_side(encoders, tokenizer, prompts)],
    )


def _text_side(
    encoders: PublishedEncoders, tokenizer: PublishedTokenizer, prompts: Prompts
) -> TextExport:
    """Sentences go in lower case into this encoder, whether or not its tokenizer tells case."""
    splitting = Splitting.PLAIN_PIECES if tokenizer.lower_case else Splitting.PIECES
    side = TextSide(
        "published", "Report sentence", TEXT_KNOWS, splitting.value, tokenizer.max_tokens, 0.0, 0.0
    )
    graph = PublishedTextGraph(encoders.text).eval()
    return TextExport(side, graph, tokenizer.pieces, prompts)


def zero_shot_heads(
    prompts: Prompts, encoders: PublishedEncoders, tokenizer: PublishedTokenizer
) -> ZeroShotHeads:
    """Embed the prompts of every measure and finding that the program knows.

    Raises
    ------
    EchoingError
        If a measure or finding has no prompts.
    """
    known = {*prompts.sweeps, *prompts.pairs}
    if missing := sorted((MEASURES.keys() | FINDINGS.keys()) - known):
        raise EchoingError(f"There are no prompts for {', '.join(missing)}.", code="bad_prompts")

    def sweep(key: str) -> SweepPrompts:
        values = torch.tensor(prompts.sweeps[key].values, dtype=torch.float64)
        embedded = embed_texts(prompts.sweeps[key].texts, encoders.text, tokenizer)
        return SweepPrompts(embedded, values.log() if LOG_SPACE[key] else values)

    def pair(key: str) -> PairPrompts:
        found = prompts.pairs[key]
        positive, negative = (
            embed_texts(texts, encoders.text, tokenizer)
            for texts in (found.positive, found.negative)
        )
        return PairPrompts(positive, negative)

    return ZeroShotHeads([sweep(key) for key in MEASURES], [pair(key) for key in FINDINGS])


class _Outputs(NamedTuple):
    quantiles: NDArray[np.float32]
    finding_logits: NDArray[np.float32]
    segment_log_var: NDArray[np.float32]
    margin: NDArray[np.float32]


def _run(model: PackageModel, inputs: NDArray[np.float32], what: str) -> _Outputs:
    heads = cast("ZeroShotHeads", model.heads)
    progress = Progress(what, len(inputs))
    parts: list[_Outputs] = []
    with torch.no_grad():
        for start in range(0, len(inputs), _BATCH):
            mean, _, segments, quantiles, logits = model(
                torch.from_numpy(inputs[start : start + _BATCH])
            )
            arrays = (quantiles, logits, segments, heads.margin(mean))
            parts.append(_Outputs(*(values.numpy() for values in arrays)))
            progress.step(len(mean))
    return _Outputs(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _checked_recordings() -> list[Recording]:
    """Simulate ECGs, so that the package can be checked without anybody's data."""
    rng = np.random.default_rng(0)
    signals_mv = simulate_ecg(sample_patients(N_CHECKED, rng), rng, fs=_CHECK_FS)
    return [
        Recording(str(at), signal_mv, _CHECK_FS, STANDARD_LEADS, "simulated")
        for at, signal_mv in enumerate(signals_mv)
    ]


def _segment_output(
    model: PackageModel, spec: PreprocessSpec, segment_log_var: NDArray[np.float32]
) -> SegmentOutput:
    low, high = np.exp(np.percentile(segment_log_var, [5, 99]))
    student = model.student
    scale = float(low), float(max(high, 1.01 * low))
    edges_s = token_edges_s(spec.n_samples, spec.fs)
    return SegmentOutput(student.row_names, student.n_segments, scale, edges_s)


# --- calibration


def _uncalibrated() -> _Calibration:
    return _Calibration(
        tuple(MeasureOutput(key, LEVEL, 0.0, LOG_SPACE[key], 0) for key in MEASURES),
        tuple(FindingOutput(key, 1.0, 0.0, 0) for key in FINDINGS),
        "Calibration: none, so every measure and finding is withheld.",
    )


def _calibrated(
    model: PackageModel, spec: PreprocessSpec, labelled: LabelledEcgs
) -> tuple[_Calibration, NDArray[np.float32]]:
    rows = read_table(labelled.table)
    kept, inputs, n_left_out = [], [], 0
    progress = Progress("Labelled ECGs", len(rows))
    seen: set[str] = set()
    for row in rows:
        progress.step()
        if row.patient in seen:  # intervals hold for patients, so each counts once
            continue
        try:
            recording = read_recording(labelled.root / row.path)
            if not assess(recording, duration_s=spec.duration_s).usable:
                n_left_out += 1
                continue
            inputs.append(prepare(recording, spec))
        except EchoingError as error:
            print(f"{row.path}: {error}")
            n_left_out += 1
            continue
        seen.add(row.patient)
        kept.append(row)
    if len(kept) < MIN_PATIENTS:
        raise _too_few(f"{len(kept)} patients have a usable ECG")
    outputs = _run(model, np.concatenate(inputs), "Calibration")
    observed = {key: np.array([row.values.get(key, math.nan) for row in kept]) for key in MEASURES}
    measures = tuple(
        _measure_output(measure, outputs.quantiles[:, column], observed[measure.key])
        for column, measure in enumerate(MEASURES.values())
    )
    findings = tuple(
        _finding_output(finding, outputs.finding_logits[:, column], observed[finding.measure_key])
        for column, finding in enumerate(FINDINGS.values())
    )
    counts = [f"{MEASURES[each.key].label} {each.n_calibration}" for each in measures]
    counts += [f"{FINDINGS[each.key].label} {each.n_calibration}" for each in findings]
    left_out = f" {n_left_out} ECGs could not be used." if n_left_out else ""
    words = f"Calibration on {len(kept)} patients of the user's ({', '.join(counts)}).{left_out}"
    return _Calibration(measures, findings, words), outputs.segment_log_var


def _measure_output(
    measure: Measure, quantiles: NDArray[np.float32], observed: NDArray[np.float64]
) -> MeasureOutput:
    known = ~np.isnan(observed)
    n_known = int(known.sum())
    if not n_known:
        return MeasureOutput(measure.key, LEVEL, 0.0, LOG_SPACE[measure.key], 0)
    if n_known < MIN_PATIENTS:
        raise _too_few(f"{n_known} patients have an {measure.label}")
    truth = np.log(observed[known]) if LOG_SPACE[measure.key] else observed[known]
    widening = fit_widening(quantiles[known, 0], quantiles[known, 2], truth, LEVEL)
    return MeasureOutput(measure.key, LEVEL, widening, LOG_SPACE[measure.key], n_known)


def _finding_output(
    finding: Finding, logits: NDArray[np.float32], observed: NDArray[np.float64]
) -> FindingOutput:
    """Fit Platt scaling; a finding whose prompts point the wrong way, or hardly seen, is left."""
    known = ~np.isnan(observed)
    present = observed[known] < finding.below
    withheld = FindingOutput(finding.key, 1.0, 0.0, 0)
    if min(present.sum(), (~present).sum()) < MIN_EACH_OUTCOME:
        print(f"{finding.label} is withheld: it needs {MIN_EACH_OUTCOME} patients of each outcome.")
        return withheld
    slope, offset = fit_platt(logits[known], present)
    if slope <= 0:
        print(f"{finding.label} is withheld: the prompts for it are no nearer where it is present.")
        return withheld
    return FindingOutput(finding.key, slope, offset, int(known.sum()))


def _too_few(what: str) -> EchoingError:
    return EchoingError(
        f"{what}: too few for {100 * LEVEL:g} % intervals.",
        hint=f"At least {MIN_PATIENTS} are needed.",
        code="too_few_calibration_patients",
    )


# --- words


def _manifest(
    files: ReleasedFiles,
    labelled: LabelledEcgs | None,
    prompts: Prompts,
    segments: SegmentOutput,
    spec: PreprocessSpec,
    calibration: _Calibration,
) -> Manifest:
    hashes = {
        "weights": _sha256(files.weights),
        "scaler": _sha256(files.scaler),
        "vocabulary": _sha256(files.tokenizer / "vocab.txt"),
        "prompts": _text_sha256(json.dumps(asdict(prompts), sort_keys=True)),
    }
    if labelled:
        hashes["labelled_ecgs"] = _sha256(labelled.table)
    limits = (
        "Measures are read by comparison with sentences, of which each says one value: the network "
        "was never trained to estimate them. No published figure tells how well that works for "
        "volumes.",
        "Intervals and probabilities hold for patients like those that they were calibrated on; "
        "without calibration there are none.",
        "Adults at rest only: no children, no exercise ECG, no ECG with fewer than twelve leads.",
        "The map has one row for all leads. Each of its tokens sees nearly the whole recording, "
        "so its place in time is approximate; it marks no disease.",
    )
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name="EchoingECG, published weights",
        version=hashes["weights"][:8],
        created=dt.datetime.now(dt.UTC).date().isoformat(),
        architecture="published",
        demonstration=False,
        caveat=CAVEAT,
        input=spec,
        measures=calibration.measures,
        findings=calibration.findings,
        segments=segments,
        cohort=(
            "The weights were trained by their authors on MIMIC-IV-ECG and MIMIC-IV-ECHO. "
            + calibration.words
        ),
        metrics=(),
        intended_use=(
            "For research on 12-lead ECGs of adults at rest. "
            "Not for diagnosis, treatment or triage of any person."
        ),
        limits=limits,
        licence=LICENCE,
        provenance=Provenance(
            recipe="import-published",
            config_sha256=_text_sha256(json.dumps(hashes, sort_keys=True)),
            code_version=version("echoing-ecg"),
            data_sha256=hashes,
            seed=0,
        ),
        files={},
    )


def _model_card(manifest: Manifest, prompts: Prompts) -> str:
    limits = "\n".join(f"- {limit}" for limit in manifest.limits)
    sentences = "\n".join(
        f"- {MEASURES[key].label}: {len(prompts.sweeps[key].texts)} sentences, "
        f"{prompts.sweeps[key].low:g} to {prompts.sweeps[key].high:g} {MEASURES[key].unit}, "
        f"such as “{prompts.sweeps[key].texts[0]}”"
        for key in MEASURES
    )
    return f"""# {manifest.name} {manifest.version}

**{manifest.caveat}**

{manifest.intended_use}

## Licence

{manifest.licence}

## Data

{manifest.cohort}

## How measures are read

The nearest fifth of the sentences by closed-form sampled distance; the median of their values.

{sentences}

## Limits

{limits}
"""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

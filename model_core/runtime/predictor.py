"""From a recording to a prediction, on ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.calibration import CORE_LEVEL, apply_core, apply_platt, apply_widening
from model_core.domain import distance, domain_features
from model_core.errors import (
    CancelToken,
    EchoingError,
    InferenceError,
    PackageError,
    PreprocessError,
)
from model_core.measures import FINDINGS, MEASURES
from model_core.preprocess import prepare
from model_core.quality import assess
from model_core.runtime.manifest import Manifest
from model_core.runtime.package import KEEP_NAME, OUTPUT_NAMES, ModelPackage
from model_core.runtime.scope import check_scope
from model_core.runtime.session import check_names, open_session, run
from model_core.types import (
    FindingProbability,
    FloatArray,
    MeasureEstimate,
    Prediction,
    PredictionInterval,
    Reason,
    Recording,
    SegmentVariance,
    Severity,
)
from model_core.what_if import Answer, BoolArray
from model_core.wording import joined, listed, say

OUTPUT_TOLERANCE = 1e-3
# In the unit of the measure: nothing shown may differ.
MEASURE_TOLERANCE = 0.05
# LVEF against the LVEF that the two volumes make, percentage points.
VOLUME_TOLERANCE_PCT = 10.0
# A fixed multiple of the distance that 1 % of the validation ECGs exceed; see docs/input-gate.md.
FAR_FROM_TRAINING = 1.5
# Beyond, the variance is no longer a float32 number.
LARGEST_LOG_VAR = 80.0

_Outputs = dict[str, NDArray[np.float32]]


class Predictor:
    """Runs the student of one model package.

    Making one loads ONNX Runtime and the network, which takes part of a second. It may be used
    from several threads.

    Parameters
    ----------
    package
        From `load_package`.
    n_threads
        Threads of a run; by default one core is left to the window.

    Raises
    ------
    PackageError
        If ONNX Runtime cannot load the network.
    """

    def __init__(self, package: ModelPackage, n_threads: int | None = None) -> None:
        self.package = package
        self._session: Any = open_session(package.graph, n_threads)
        check_names(self._session, ["ecg"], OUTPUT_NAMES)

    def self_test(self) -> float:
        """Run the package's golden recording and compare with the stored outputs.

        Returns
        -------
        float
            Largest absolute difference of any output.

        Raises
        ------
        PackageError
            If an output differs by more than 1e-3, or a measure by more than 0.05 of its unit.
        """
        golden = self.package.golden
        expected: _Outputs = {name: golden[name] for name in OUTPUT_NAMES}
        spec = self.package.manifest.input
        try:
            recording = Recording(
                recording_id="golden",
                signal_mv=golden["recording_signal_mv"],
                fs=float(golden["recording_fs"]),
                lead_names=spec.lead_names,
                source_name="golden.npz",
            )
            found = self._run(prepare(recording, spec), CancelToken())
            _check_shapes(expected, self.package.manifest)
            difference = max(_difference(found[name], expected[name]) for name in OUTPUT_NAMES)
            shown_difference = _difference(
                np.array(_quantities(found, self.package.manifest)),
                np.array(_quantities(expected, self.package.manifest)),
            )
        except (ValueError, TypeError, EchoingError) as error:
            raise PackageError(
                say(
                    "The self-test of the model package could not be run: {why}",
                    why=error.message if isinstance(error, EchoingError) else str(error),
                ),
                hint=say("Install the model package again."),
                code="self_test_failed",
            ) from error
        if difference > OUTPUT_TOLERANCE or shown_difference > MEASURE_TOLERANCE:
            raise PackageError(
                say(
                    "The model package gives other numbers on this computer than where it was made."
                ),
                hint=say("Its results cannot be trusted here; please report it."),
                code="self_test_failed",
            )
        return difference

    def predict(
        self,
        recording: Recording,
        cancel: CancelToken | None = None,
        start_s: float = 0.0,
        confirmed: Collection[str] = (),
    ) -> Prediction:
        """Estimate the echo measures of one recording, or say why not.

        Parameters
        ----------
        recording
            The recording, in mV.
        cancel
            Stops a run under way.
        start_s
            First second that the model sees, from the beginning of `recording`.
        confirmed
            What the user has confirmed, see `model_core.quality.assess`.

        Returns
        -------
        Prediction
            With numbers, or with the reasons to withhold them.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        InferenceError
            If the network itself fails.
        """
        cancel = cancel or CancelToken()
        manifest = self.package.manifest
        # The grid of samples decides where the window truly starts.
        first_s = recording.start_s + round(start_s * recording.fs) / recording.fs
        end_s = recording.start_s + recording.duration_s
        window_s = (first_s, min(first_s + manifest.input.duration_s, end_s))

        quality = assess(
            recording,
            start_s=start_s,
            duration_s=manifest.input.duration_s,
            lead_names=manifest.input.lead_names,
            confirmed=confirmed,
        )
        found = (*quality.reasons, *check_scope(recording, manifest.scope, paced=quality.paced))
        cancel.raise_if_cancelled()

        def refused(*reasons: Reason) -> Prediction:
            return Prediction(
                recording.recording_id,
                self.package.identity,
                window_s,
                reasons=reasons,
                lead_quality=quality.leads,
            )

        if any(reason.severity.withholds for reason in found):
            return refused(*found)
        try:
            ecg = prepare(recording, manifest.input, start_s)
        except PreprocessError as error:
            message = joined([error.message, error.hint])
            return refused(Reason(error.code, Severity.REFUSE, message))
        unlike = self._unlike_training(ecg[0])
        if any(reason.severity is Severity.REFUSE for reason in unlike):
            return refused(*unlike)
        cancel.raise_if_cancelled()
        outputs = self._run(ecg, cancel)
        cancel.raise_if_cancelled()

        fault = _implausible(outputs, manifest)
        if fault:
            return refused(Reason("output_implausible", Severity.REFUSE, fault))
        log_var = outputs["log_var"][0].astype(np.float64)
        return Prediction(
            recording_id=recording.recording_id,
            package=self.package.identity,
            window_s=window_s,
            estimates=_estimates(outputs, manifest),
            findings=_findings(outputs, manifest),
            embedding_variance=float(np.exp(log_var).mean()),
            segment_variance=SegmentVariance(
                variance=np.exp(outputs["segment_log_var"][0]),
                lead_names=manifest.segments.lead_names,
                edges_s=_edges_s(first_s, manifest),
                scale=manifest.segments.scale,
            ),
            reasons=(*_withheld(manifest), *found, *unlike),
            lead_quality=quality.leads,
            embedding_mean=outputs["mean"][0],
        )

    @property
    def takes_keep(self) -> bool:
        """Whether the network can be told which segments are missing."""
        return KEEP_NAME in {node.name for node in self._session.get_overridable_initializers()}

    def answer(
        self, ecg: FloatArray, keep: BoolArray | None = None, cancel: CancelToken | None = None
    ) -> Answer:
        """Say what the network says of an input, with no check of the recording: not a result.

        Parameters
        ----------
        ecg
            (1, leads, samples), as `model_core.preprocess.prepare` gives it.
        keep
            (leads, segments), false where a segment is missing; only where `takes_keep`.
        cancel
            Stops a run under way.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        InferenceError
            If the network itself fails.
        """
        manifest = self.package.manifest
        outputs = self._run(ecg, cancel or CancelToken(), keep)
        log_var = outputs["segment_log_var"]
        if keep is not None:
            outputs = outputs | {"segment_log_var": np.where(keep, log_var, np.float32(0))}
            log_var = np.where(keep, log_var, np.float32(np.nan))
        fault = _implausible(outputs, manifest)
        with np.errstate(over="ignore"):
            return Answer(
                () if fault else _estimates(outputs, manifest),
                () if fault else _findings(outputs, manifest),
                float(np.exp(outputs["log_var"][0].astype(np.float64)).mean()),
                np.exp(log_var[0]),
                fault,
            )

    def embedding(
        self, ecg: FloatArray, cancel: CancelToken | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give mean and log variance of an input's embedding, (dim,) each; not a result.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        InferenceError
            If the network itself fails.
        """
        outputs = self._run(ecg, cancel or CancelToken())
        return outputs["mean"][0].astype(np.float64), outputs["log_var"][0].astype(np.float64)

    def _unlike_training(self, ecg_ls: FloatArray) -> tuple[Reason, ...]:
        domain = self.package.domain
        if domain is None:
            return ()
        found = distance(domain_features(ecg_ls, self.package.manifest.input.fs), domain)
        if found <= domain.threshold:
            return ()
        if found <= FAR_FROM_TRAINING * domain.threshold:
            message = say(
                "This ECG is unlike most of those that the model was trained on: "
                "the estimate is less certain than its interval says."
            )
            return (Reason("unlike_training_data", Severity.CAUTION, message),)
        message = say(
            "This ECG is unlike all that the model was trained on, so an estimate would be a guess."
        )
        return (Reason("unlike_training_data", Severity.REFUSE, message),)

    def _run(self, ecg: FloatArray, cancel: CancelToken, keep: BoolArray | None = None) -> _Outputs:
        inputs = {"ecg": ecg} if keep is None else {"ecg": ecg, KEEP_NAME: keep}
        arrays = run(self._session, OUTPUT_NAMES, inputs, cancel)
        outputs: _Outputs = dict(zip(OUTPUT_NAMES, arrays, strict=True))
        _check_shapes(outputs, self.package.manifest)
        return outputs


def _difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest absolute difference; infinite where a number is missing."""
    if found.shape != expected.shape:
        return math.inf
    distance = np.abs(found - expected)
    return float(np.where(np.isnan(distance), math.inf, distance).max(initial=0))


def _check_shapes(outputs: _Outputs, manifest: Manifest) -> None:
    wanted = {
        "quantiles": (1, len(manifest.measures), 3),
        "finding_logits": (1, len(manifest.findings)),
        "segment_log_var": (1, len(manifest.segments.lead_names), manifest.segments.n_segments),
    }
    if any(outputs[name].shape != shape for name, shape in wanted.items()):
        raise InferenceError(
            say("The network gives another number of results than its manifest names."),
            hint=say("Install the model package again."),
            code="bad_outputs",
        )


def _quantities(outputs: _Outputs, manifest: Manifest) -> list[tuple[float, ...]]:
    """Low end, value, high end and both ends of the core of each measure, in its unit."""
    found: list[tuple[float, ...]] = []
    for measure, quantiles in zip(manifest.measures, outputs["quantiles"][0], strict=True):
        low, value, high = (float(end) for end in apply_widening(quantiles, measure.widening))
        ends = np.array((low, value, high, *apply_core(low, value, high, measure.core_share)))
        if measure.log_space:
            with np.errstate(over="ignore"):
                ends = np.exp(ends)
        found.append(tuple(ends.tolist()))
    return found


def _implausible(outputs: _Outputs, manifest: Manifest) -> str:
    """Why the outputs cannot be true, as a sentence; empty if they can."""
    if not all(np.isfinite(values).all() for values in outputs.values()) or any(
        (np.abs(outputs[name]) > LARGEST_LOG_VAR).any() for name in ("log_var", "segment_log_var")
    ):
        return say("The model gave no number.")
    quantities = _quantities(outputs, manifest)
    values: dict[str, float] = {}
    for measure, (low, value, high, *_) in zip(manifest.measures, quantities, strict=True):
        if not measure.n_calibration:
            continue
        known = MEASURES[measure.key]
        if not (known.plausible[0] <= value <= known.plausible[1] and low <= value <= high):
            return say(
                "The estimate of {measure} is outside what a heart can have.", measure=known.label
            )
        values[measure.key] = value
    lvef, lvedv, lvesv = (values.get(key) for key in ("lvef", "lvedv", "lvesv"))
    if lvedv is not None and lvesv is not None:
        if lvesv >= lvedv:
            return say("The estimated volumes contradict each other.")
        if lvef is not None:
            from_volumes_pct = 100 * (lvedv - lvesv) / lvedv
            if abs(lvef - from_volumes_pct) > VOLUME_TOLERANCE_PCT:
                return say("The estimated LVEF contradicts the estimated volumes.")
    return ""


def _estimates(outputs: _Outputs, manifest: Manifest) -> tuple[MeasureEstimate, ...]:
    estimates: list[MeasureEstimate] = []
    for measure, quantities in zip(manifest.measures, _quantities(outputs, manifest), strict=True):
        if not measure.n_calibration:
            continue
        lowest, highest = MEASURES[measure.key].plausible
        low, value, high, core_low, core_high = (
            min(max(end, lowest), highest) for end in quantities
        )
        estimates.append(
            MeasureEstimate(
                measure.key,
                value,
                PredictionInterval(low, high, measure.level),
                PredictionInterval(core_low, core_high, CORE_LEVEL) if measure.core_share else None,
            )
        )
    return tuple(estimates)


def _findings(outputs: _Outputs, manifest: Manifest) -> tuple[FindingProbability, ...]:
    return tuple(
        FindingProbability(finding.key, float(apply_platt(logit, finding.slope, finding.offset)))
        for finding, logit in zip(manifest.findings, outputs["finding_logits"][0], strict=True)
        if finding.n_calibration
    )


def _edges_s(first_s: float, manifest: Manifest) -> NDArray[np.float64]:
    equal = np.linspace(0, manifest.input.duration_s, manifest.segments.n_segments + 1)
    return first_s + np.array(manifest.segments.edges_s or equal, dtype=np.float64)


def _withheld(manifest: Manifest) -> tuple[Reason, ...]:
    """Say which results lack a calibration; a refusal if all of them do."""
    measures = [MEASURES[each.key].label for each in manifest.measures if not each.n_calibration]
    findings = [FINDINGS[each.key].label for each in manifest.findings if not each.n_calibration]
    labels = [
        *measures,
        *(say("the probability of {finding}", finding=label) for label in findings),
    ]
    if not labels:
        return ()
    nothing_left = len(labels) == len(manifest.measures) + len(manifest.findings)
    severity = Severity.REFUSE if nothing_left else Severity.CAUTION
    message = say(
        "Withheld, because this model package is not calibrated for it: {names}.",
        names=listed(labels),
    )
    return (Reason("not_calibrated", severity, message),)

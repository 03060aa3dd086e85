"""The manifest of a model package: everything but the weights, as data."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import types
import typing
from dataclasses import dataclass
from typing import Any

from model_core.errors import PackageError
from model_core.leads import STANDARD_LEADS
from model_core.measures import FINDINGS, MEASURES
from model_core.preprocess import PreprocessSpec
from model_core.tokens import Splitting
from model_core.validation import Validation as Validation
from model_core.wording import say

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class MeasureOutput:
    """One measure that the student estimates.

    Attributes
    ----------
    key
        Measure; its unit is the one of `model_core.measures`.
    level
        Nominal coverage of the prediction interval.
    widening
        Conformal correction: the raw interval grows by this much at both ends, in the space of
        the network's output (the unit itself, or its natural logarithm).
    log_space
        The network's output for this measure is the natural logarithm of the value.
    n_calibration
        Patients on which `widening` was found. 0: on none, so no interval can be given and the
        measure is withheld.
    core_share
        How far the interval that holds half of the patients reaches from the median towards the
        ends of the calibrated one, in the space of the network's output (see
        `model_core.calibration.fit_core`). 0: not known, so no such interval is given.
    """

    key: str
    level: float
    widening: float
    log_space: bool
    n_calibration: int
    core_share: float = dataclasses.field(default=0.0, metadata={"optional": True})

    def __post_init__(self) -> None:
        if self.key not in MEASURES or not 0 < self.level < 1 or self.n_calibration < 0:
            raise ValueError(f"not a measure output: {self.key!r} at level {self.level}")
        if not 0 <= self.core_share <= 1:
            raise ValueError(f"the core of {self.key!r} goes beyond its interval")


@dataclass(frozen=True, slots=True)
class FindingOutput:
    """One finding that the student gives a probability for: sigmoid(slope * logit + offset).

    Found on `n_calibration` patients; with 0 the finding is withheld.
    """

    key: str
    slope: float
    offset: float
    n_calibration: int

    def __post_init__(self) -> None:
        if self.key not in FINDINGS or self.n_calibration < 0:
            raise ValueError(f"not a finding output: {self.key!r}")


@dataclass(frozen=True, slots=True)
class SegmentOutput:
    """The segment variance map.

    Attributes
    ----------
    lead_names
        Rows of the map; a single ``all`` where the student does not tell leads apart.
    n_segments
        Equal segments over the input's duration.
    scale
        Fixed ends of the colour scale (variance, dimensionless): the 5th and 99th percentile
        over the calibration fold.
    edges_s
        Where the segments begin and the last one ends, seconds from the start of the input;
        empty where all are equally long.
    """

    lead_names: tuple[str, ...]
    n_segments: int
    scale: tuple[float, float]
    edges_s: tuple[float, ...] = dataclasses.field(default=(), metadata={"optional": True})

    def __post_init__(self) -> None:
        if not self.lead_names or self.n_segments < 1 or not 0 < self.scale[0] < self.scale[1]:
            raise ValueError("not a segment variance map")
        if self.edges_s and (
            len(self.edges_s) != self.n_segments + 1
            or self.edges_s[0] < 0
            or any(late <= early for early, late in itertools.pairwise(self.edges_s))
        ):
            raise ValueError("the segments are not one after the other")


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure from the evaluation.

    Attributes
    ----------
    name
        For instance ``LVEF mean absolute error``.
    value, low, high
        Figure and its 95 % confidence interval over patients, in `unit`.
    unit
        Empty for dimensionless.
    dataset
        What it was measured on.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the weights came from.

    Attributes
    ----------
    recipe
        Name of the training recipe.
    config_sha256
        Of the resolved training configuration.
    code_version
        Version of this program that trained it.
    data_sha256
        Per data source, hash over what was read of it.
    seed
        Of the whole run.
    """

    recipe: str
    config_sha256: str
    code_version: str
    data_sha256: dict[str, str]
    seed: int


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom the model was studied on.

    Attributes
    ----------
    age_y
        Youngest and oldest, years.
    sexes
        ``female`` and ``male``, or one of them.
    paced
        Whether paced rhythm was among the ECGs that it was tested on.
    """

    age_y: tuple[float, float] = (18.0, 130.0)
    sexes: tuple[str, ...] = ("female", "male")
    paced: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.age_y[0] < self.age_y[1] or not set(self.sexes) <= {"female", "male"}:
            raise ValueError("not whom a model can be studied on")


@dataclass(frozen=True, slots=True)
class TextSide:
    """A text encoder in the space of the ECG embedding; its files are named after `key`.

    The graph ``text_KEY.onnx`` takes ``token_ids`` (batch, tokens; int64), every sentence of the
    batch as long as the others, and returns ``mean`` and ``log_var`` (batch, embedding) of each.
    ``text_KEY_vocabulary.txt`` holds a word or word piece a line, in the order of their numbers;
    ``text_KEY_prompts.json`` sentences as `model_core.prompts` has them. The golden numbers hold
    ``text_KEY_mean`` and ``text_KEY_log_var`` of the first sentence in that table.

    Attributes
    ----------
    key
        Lower-case letters.
    label
        What the sentences are about, as shown.
    knows
        What it was trained on and what follows from that, in whole sentences, shown beside every
        number.
    splitting
        Value of `model_core.tokens.Splitting`.
    max_tokens
        The longest sentence.
    negative_scale, shift
        Learnt with the embedding: a sentence and an ECG match with probability
        sigmoid(shift - negative_scale * distance). Both 0: not known, so no probability is given.
    """

    key: str
    label: str
    knows: str
    splitting: str
    max_tokens: int
    negative_scale: float
    shift: float

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]{1,20}", self.key) or self.max_tokens < 1:
            raise ValueError("not a text side")
        if self.splitting not in {each.value for each in Splitting}:
            raise ValueError(f"sentences cannot be split into {self.splitting!r}")
        if self.negative_scale < 0 or (self.negative_scale == 0 and self.shift != 0):
            raise ValueError("the scale of a text side must be positive, or 0 with a shift of 0")

    @property
    def graph_name(self) -> str:
        """File of the text encoder."""
        return f"text_{self.key}.onnx"

    @property
    def vocabulary_name(self) -> str:
        """File of the words or pieces."""
        return f"text_{self.key}_vocabulary.txt"

    @property
    def prompts_name(self) -> str:
        """File of the sentences that the encoder was made for."""
        return f"text_{self.key}_prompts.json"

    @property
    def golden_names(self) -> tuple[str, str]:
        """Names of mean and log variance among the golden numbers."""
        return f"text_{self.key}_mean", f"text_{self.key}_log_var"


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything the program needs to know of a model package beside its weights.

    The ONNX graph takes ``ecg`` (batch, leads, samples) and returns ``mean`` and ``log_var``
    (batch, embedding), ``segment_log_var`` (batch, rows, segments; natural logarithm of the mean
    variance over embedding dimensions), ``quantiles`` (batch, measures, 3: lower end, median and
    upper end of the raw interval) and ``finding_logits`` (batch, findings); measures and findings
    in the order of this manifest. It may take ``keep`` (rows, segments; false where one is
    missing), optional and all true by itself.

    `input` names the leads that the network takes. A package that takes fewer than the twelve
    standard ones is usable on recordings of those; it has to give metrics that it was tested with.
    A package that states no `scope` was made for adults without a pacemaker; one without `texts`
    cannot compare sentences with an ECG.
    """

    schema_version: int
    name: str
    version: str
    created: str
    architecture: str
    demonstration: bool
    caveat: str
    input: PreprocessSpec
    measures: tuple[MeasureOutput, ...]
    findings: tuple[FindingOutput, ...]
    segments: SegmentOutput
    cohort: str
    metrics: tuple[Metric, ...]
    intended_use: str
    limits: tuple[str, ...]
    licence: str
    provenance: Provenance
    files: dict[str, str]
    scope: Scope = dataclasses.field(default_factory=Scope, metadata={"optional": True})
    validation: tuple[Validation, ...] = dataclasses.field(default=(), metadata={"optional": True})
    texts: tuple[TextSide, ...] = dataclasses.field(default=(), metadata={"optional": True})

    def __post_init__(self) -> None:
        keys = [output.key for output in (*self.measures, *self.findings)]
        if not self.measures or len(set(keys)) != len(keys):
            raise ValueError("every measure and finding is wanted once, and at least one measure")
        if len({side.key for side in self.texts}) != len(self.texts):
            raise ValueError("two text sides have the same key")
        if not set(STANDARD_LEADS) <= set(self.input.lead_names) and not self.metrics:
            raise ValueError("a model for fewer than twelve leads must say how it was tested")

    def to_json(self) -> str:
        """Readable JSON, keys in the order of the fields."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Read a manifest; every field must be there, of its type, and no other.

        Raises
        ------
        PackageError
            If the text is not a manifest that this version of the program understands.
        """
        try:
            values: Any = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            raise PackageError(
                say("The manifest is not valid JSON."), code="bad_manifest"
            ) from None
        if not isinstance(values, dict):
            raise PackageError(say("The manifest is not a JSON object."), code="bad_manifest")
        found: Any = typing.cast("dict[str, Any]", values).get("schema_version")
        if found != SCHEMA_VERSION:
            raise PackageError(
                say(
                    "The model package has manifest version {found!r}; this program reads version "
                    "{version}.",
                    found=found,
                    version=SCHEMA_VERSION,
                ),
                hint=say("Install a model package made for this version of the program."),
                code="unknown_manifest_version",
            )
        try:
            return _build(Manifest, values, "manifest")
        except ValueError as error:
            raise PackageError(
                say("The manifest is wrong: {why}.", why=str(error)), code="bad_manifest"
            ) from None


def _build(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - JSON and annotations
    """Rebuild a dataclass, tuple, dict or scalar from JSON, strictly by its annotation."""
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be an object")
        given = typing.cast("dict[str, Any]", value)
        hints = typing.get_type_hints(kind)
        optional = {
            field.name for field in dataclasses.fields(kind) if field.metadata.get("optional")
        }
        needed = set(hints) - optional
        if not needed <= set(given) <= set(hints):
            odd = ", ".join(sorted((needed - set(given)) | (set(given) - set(hints))))
            raise ValueError(f"{where} has missing or unknown entries: {odd}")
        built = {key: _build(hints[key], given[key], f"{where}.{key}") for key in given}
        return typing.cast("Any", kind)(**built)
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list")
        items = typing.cast("list[Any]", value)
        kinds = [arguments[0]] * len(items) if arguments[-1] is ... else list(arguments)
        if len(kinds) != len(items):
            raise ValueError(f"{where} must have {len(kinds)} entries")
        return tuple(_build(k, v, where) for k, v in zip(kinds, items, strict=True))
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be an object")
        entries = typing.cast("dict[str, Any]", value)
        return {key: _build(arguments[1], item, where) for key, item in entries.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{where} must be finite")
        return float(value)
    if isinstance(kind, type) and not isinstance(kind, types.GenericAlias):
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return typing.cast("Any", value)
        raise ValueError(f"{where} must be of type {kind.__name__}")
    raise ValueError(f"{where} cannot be read")

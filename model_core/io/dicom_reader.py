"""DICOM waveforms (PS3.3 A.34, C.10.9): resting, general and ambulatory ECG, decoded here.

`pydicom` takes the file apart into elements. Which multiplex groups are rhythm, where they lie in
time and which values are padding is decided here: the class of the file (SOP class) is no guide,
and median beats (DERIVED groups) are never shown as rhythm.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core.errors import ReadError
from model_core.io._complete import (
    NO_CHECKSUM,
    check_kind,
    checked_size,
    high_pass,
    low_pass,
    mv_per_unit,
    notch,
    plain,
)
from model_core.io._dicom_file import InPlace, parse, value_of
from model_core.io._dicom_notes import Group, metadata_of
from model_core.io._in_file import InFile, Samples, whole
from model_core.leads import STANDARD_LEADS, canonical_lead_name
from model_core.types import (
    ImportReport,
    Recording,
)
from model_core.wording import say

FORMAT_NAME: str = "DICOM"
SUFFIXES: tuple[str, ...] = (".dcm", ".dicom")

MAX_BYTES = 16_000_000_000

_NOTES, _SAMPLES = 0x0040B020, 0x54001010
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_TYPES = {
    "SS": "i2",
    "US": "u2",
    "SL": "i4",
    "UL": "u4",
    "SB": "i1",
    "UB": "u1",
    "SV": "i8",
    "UV": "u8",
}
# Numbers of the leads in SCP-ECG (EN 1064) and, in partition 2, of ISO/IEEE 11073-10102
_LEAD_NUMBERS = {
    **dict(enumerate(("I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "V7"), start=1)),
    **dict(enumerate(("V2R", "V3R", "V4R", "V5R", "V6R", "V7R", "X", "Y", "Z"), start=10)),
    **dict(enumerate(("III", "aVR", "aVL", "aVF", "-aVR", "V8", "V9", "V8R", "V9R"), start=61)),
    **{70: "Nehb D", 71: "Nehb A", 72: "Nehb J"},
}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A group within the recording: its first sample, and which rows its leads are."""

    group: Group
    start: int
    rows: Sequence[int]


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the first bytes tell
    """Whether the file begins as DICOM does, with or without preamble."""
    return head[128:132] == b"DICM" or _begins_as_data_set(head)


def _begins_as_data_set(head: bytes) -> bool:
    """Whether a file without preamble begins with an element of the first groups.

    Samples of other formats may look like a tag; what follows it tells.
    """
    if head[:4] == b"\x02\x00\x00\x00" or head[:2] == b"\x08\x00":
        if head[4:6] in (b"UL", b"CS", b"DA", b"UI", b"TM", b"LO"):
            return True
        length = int.from_bytes(head[4:8], "little")  # implicit type: the length comes at once
        return 0 < length <= 64 and head[8 + length : 10 + length] == b"\x08\x00"
    return False


def read(path: Path) -> Recording:
    """Read the rhythm of a DICOM ECG; see `model_core.io.read_recording`."""
    return whole(open_file(path))


def open_file(path: Path) -> InFile:
    """Read what a DICOM ECG says of its rhythm."""
    checked_size(path, MAX_BYTES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns when a value is looked at, of any doubt
        return _open(path)


def _open(path: Path) -> InFile:
    dataset, sequence = parse(path)
    repairs: list[str] = []
    with path.open("rb") as file:
        head = file.read(132)
    if not sequence and not recognises(path, head):
        raise ReadError(
            say("{file} is damaged, or not a {format} file.", file=path.name, format=FORMAT_NAME),
            hint=say("Export or copy it again."),
            code="damaged",
        )
    if head[128:] != b"DICM":
        repairs.append(say("The file lacks the DICOM preamble: read as a plain data set."))
    if not sequence:
        raise ReadError(
            say("{file} is a DICOM file without a waveform.", file=path.name),
            hint=say(
                "Export the ECG as a DICOM waveform, not as a picture or a report; if it should "
                "hold one, copy it again."
            ),
            code="no_signal",
        )
    rhythm = _rhythm_groups(path, sequence, repairs)
    order = ">" if _transfer_syntax(dataset) == _BIG_ENDIAN else "<"
    groups = [_group(path, number, sequence[number], order, repairs) for number in rhythm]
    groups = _of_one_rate([group for group in groups if group.lead_names], repairs)
    if not groups:
        raise ReadError(
            say("{file} holds waveforms, but none is a voltage.", file=path.name),
            hint=say("Check that it is an ECG."),
            code="no_signal",
        )
    placed, names = _merge(path, groups, repairs)
    times_stated = all("MultiplexGroupTimeOffset" in sequence[group.number] for group in groups)
    if len(groups) > 1 and not times_stated:
        repairs.append(
            say("The file does not say when each group of leads begins: shown as if together.")
        )
    n_samples = max(place.start + place.group.n_samples for place in placed)
    fs = groups[0].fs
    check_kind(path, len(names), n_samples, fs)
    channels = [c for number in rhythm for c in sequence[number].ChannelDefinitionSequence]
    notes = value_of(dataset, _NOTES)
    if isinstance(notes, InPlace):
        repairs.append(
            say(
                "Marks and measurements of {size_mb:.1f} MB are not looked at.",
                size_mb=notes.size / 1e6,
            )
        )
    metadata = metadata_of(dataset, groups)

    def read_samples(first: int, last: int, rows: Sequence[int]) -> Samples:
        signal_mv = np.full((len(rows), last - first), np.nan, dtype=np.float32)
        for place in placed:
            low = max(first - place.start, 0)
            high = min(last - place.start, place.group.n_samples)
            there = [at for at, row in enumerate(rows) if row in place.rows]
            if low < high and there:
                wanted = [place.rows.index(rows[at]) for at in there]
                inside = slice(place.start + low - first, place.start + high - first)
                signal_mv[there, inside] = place.group.read(low, high, wanted)
        return Samples(
            signal_mv,
            annotations=tuple(m for m in metadata.annotations if first <= m.time_s * fs < last),
            integrity=NO_CHECKSUM,
        )

    return InFile(
        read=read_samples,
        n_samples=n_samples,
        fs=fs,
        lead_names=names,
        report=ImportReport(
            format_name=FORMAT_NAME,
            rate_source=say("as stated for the waveform"),
            gain=_gain(channels),
            gain_source=say("as stated for each channel"),
            unit=", ".join(sorted({_unit(c) for c in channels} - {""})),
            device_filters=_filters(channels),
            repairs=tuple(dict.fromkeys(repairs)),
        ),
        metadata=metadata,
        paths=(path,),
        source=path,
        seekable=_transfer_syntax(dataset) != _DEFLATED,
    )


def _transfer_syntax(dataset: Any) -> str:  # noqa: ANN401 - see parse
    return str(getattr(dataset.file_meta, "TransferSyntaxUID", ""))


def _rhythm_groups(path: Path, sequence: list[Any], repairs: list[str]) -> list[int]:
    """Numbers of the groups that are rhythm: original, and not labelled as a median beat."""

    def is_median(group: Any) -> bool:  # noqa: ANN401 - see parse
        label = str(group.get("MultiplexGroupLabel") or "")
        return bool(re.search(r"median|average|template|representative", label, re.IGNORECASE))

    def duration_s(group: Any) -> float:  # noqa: ANN401 - see parse
        return int(group.NumberOfWaveformSamples) / float(group.SamplingFrequency)

    plausible = [n for n, group in enumerate(sequence) if not is_median(group)]
    derived = {
        n for n in plausible if str(sequence[n].get("WaveformOriginality") or "") == "DERIVED"
    }
    original = [n for n in plausible if n not in derived]
    if not original:
        original = [n for n in plausible if duration_s(sequence[n]) >= 5.0]
        repairs.append(say("The waveform is marked as derived by the device from another one."))
    if not original:
        raise ReadError(
            say("{file} holds median beats only, and no rhythm.", file=path.name),
            hint=say("Export the recording with its rhythm waveforms."),
            code="no_rhythm",
        )
    if len(original) < len(sequence):
        repairs.append(say("Derived waveforms (median beats) are not shown as rhythm."))
    return original


def _group(path: Path, number: int, item: Any, order: str, repairs: list[str]) -> Group:  # noqa: ANN401
    """Say what one multiplex group holds, and how its samples become mV."""
    n_channels, n_samples = int(item.NumberOfWaveformChannels), int(item.NumberOfWaveformSamples)
    fs = float(item.SamplingFrequency)
    check_kind(path, n_channels, n_samples, fs)
    kind = _TYPES.get(str(item.WaveformSampleInterpretation))
    if kind is None:
        raise ReadError(
            say(
                "{file} stores its samples in a way that is not supported ({kind}).",
                file=path.name,
                kind=plain(item.WaveformSampleInterpretation, 10),
            ),
            hint=say("Export it as 16-bit samples."),
            code="unsupported_samples",
        )
    dtype = np.dtype(f"{order}{kind}")
    data: bytes = value_of(item, _SAMPLES)
    held = data.size if isinstance(data, InPlace) else len(data)
    size = n_channels * n_samples * dtype.itemsize
    if int(item.WaveformBitsAllocated) != 8 * dtype.itemsize or not 0 <= held - size <= 1:
        raise ReadError(
            say(
                "{file} holds {held} bytes of samples, but describes {size}: it is damaged or "
                "incomplete.",
                file=path.name,
                held=held,
                size=size,
            ),
            hint=say("Export it again."),
            code="size_mismatch",
        )
    channels: list[Any] = list(item.ChannelDefinitionSequence)
    if len(channels) != n_channels:
        raise ReadError(
            say(
                "{file} describes {n} of its {n_channels} channels.",
                file=path.name,
                n=len(channels),
                n_channels=n_channels,
            ),
            hint=say("Export it again."),
            code="bad_header",
        )
    padding = _padding(item, dtype, repairs)
    names: list[str] = []
    scales: list[tuple[int, float, float]] = []  # number of the channel, mV a count, baseline in mV
    for column, channel in enumerate(channels):
        name = _lead_name(path, channel)
        factor = _mv_per_count(path, channel, name, repairs)
        if factor is None:
            continue
        baseline = float(channel.get("ChannelBaseline") or 0) * (mv_per_unit(_unit(channel)) or 0)
        skew = float(channel.get("ChannelTimeSkew") or 0) * fs
        skew = max(abs(skew), abs(float(channel.get("ChannelSampleSkew") or 0)))
        if skew >= 1:
            raise ReadError(
                say(
                    "{file} states that lead {lead} begins {ms:g} ms beside the others, which is "
                    "not supported.",
                    file=path.name,
                    lead=name,
                    ms=1000 * skew / fs,
                ),
                hint=say("Export it with leads recorded at the same time."),
                code="skewed",
            )
        if skew:
            repairs.append(
                say("Channels are stated to be sampled one after another: not corrected.")
            )
        names.append(name)
        scales.append((column, factor, baseline))

    def read(first: int, last: int, rows: Sequence[int]) -> NDArray[np.float32]:
        skipped, n_values = first * n_channels * dtype.itemsize, (last - first) * n_channels
        if isinstance(data, InPlace):
            counts = np.fromfile(path, dtype, n_values, offset=data.offset + skipped)
        else:
            counts = np.frombuffer(data, dtype, n_values, skipped)
        counts = counts.reshape(-1, n_channels)
        signal_mv = np.empty((len(rows), last - first), dtype=np.float32)
        for at, (column, factor, baseline) in enumerate(scales[row] for row in rows):
            values = counts[:, column]
            signal_mv[at] = values.astype(np.float64) * factor + baseline
            if padding is not None:
                signal_mv[at, values == padding] = np.nan
        return signal_mv

    start_s = float(item.get("MultiplexGroupTimeOffset") or 0) / 1000.0
    return Group(number, fs, start_s, n_samples, tuple(names), read)


def _padding(item: Any, dtype: np.dtype[Any], repairs: list[str]) -> int | None:  # noqa: ANN401
    value = item.get("WaveformPaddingValue")
    if isinstance(value, bytes) and len(value) >= dtype.itemsize:
        value = int(np.frombuffer(value[: dtype.itemsize], dtype)[0])
    if not isinstance(value, int):
        return None
    if value == 0:
        # Written by some converters as a default; most zeros of an ECG are samples.
        repairs.append(say("The file declares 0 as padding: zeros are taken for samples."))
        return None
    return value


def _unit(channel: Any) -> str:  # noqa: ANN401 - see parse
    codes = channel.get("ChannelSensitivityUnitsSequence")
    return plain(codes[0].get("CodeValue", ""), 20) if codes else ""


def _mv_per_count(path: Path, channel: Any, name: str, repairs: list[str]) -> float | None:  # noqa: ANN401
    """MV of one count; None for a channel that is no voltage."""
    sensitivity, unit = channel.get("ChannelSensitivity"), _unit(channel)
    if unit and mv_per_unit(unit) is None:
        repairs.append(
            say("Channel {name} is in {unit} and no ECG: left out.", name=name, unit=unit)
        )
        return None
    correction = channel.get("ChannelSensitivityCorrectionFactor")
    factor = float(sensitivity or 0) * float(1 if correction is None else correction)
    if not unit or not np.isfinite(factor) or factor == 0:
        raise ReadError(
            say("{file} does not state the gain of lead {name}.", file=path.name, name=name),
            hint=say("Have the source of the file state sensitivity and unit of every channel."),
            code="gain_missing",
        )
    return factor * (mv_per_unit(unit) or 0)


def _lead_name(path: Path, channel: Any) -> str:  # noqa: ANN401 - see parse
    """Lead by code where the scheme is known, by name else; refused if the two disagree."""
    codes = channel.get("ChannelSourceSequence")
    meaning = plain(codes[0].get("CodeMeaning", "") if codes else "", 40)
    meaning = canonical_lead_name(re.sub(r"\(.*\)", "", meaning))
    label = canonical_lead_name(plain(channel.get("ChannelLabel", ""), 40))
    by_name = meaning if meaning in STANDARD_LEADS else label if label in STANDARD_LEADS else ""
    by_code = ""
    if codes and str(codes[0].get("CodingSchemeDesignator", "")).upper() in ("MDC", "SCPECG"):
        value = str(codes[0].get("CodeValue", "")).strip()
        number = re.search(r"(?:^|[:-])(\d+)$", value)
        named = canonical_lead_name(value)
        by_code = named if named in STANDARD_LEADS else ""
        by_code = _LEAD_NUMBERS.get(int(number[1]), "") if number else by_code
    if by_code and by_name and by_code != by_name:
        raise ReadError(
            say(
                "{file} calls one channel both {by_code} and {by_name}.",
                file=path.name,
                by_code=by_code,
                by_name=by_name,
            ),
            hint=say("Export it again, or have the source corrected."),
            code="ambiguous_leads",
        )
    return by_code or by_name or meaning or label


def _of_one_rate(groups: list[Group], repairs: list[str]) -> list[Group]:
    """Only the groups at the rate of the longest."""
    if not groups:
        return groups
    fs = max(groups, key=lambda group: group.n_samples * len(group.lead_names) / group.fs).fs
    kept = [group for group in groups if group.fs == fs]
    if len(kept) < len(groups):
        repairs.append(say("Waveforms at other rates than {fs:g} Hz are left out.", fs=fs))
    return kept


def _merge(
    path: Path, groups: list[Group], repairs: list[str]
) -> tuple[list[_Placed], tuple[str, ...]]:
    """Put groups in time, the longer one last: of two that hold the same lead, it counts."""
    if len(groups) == 1:
        return [_Placed(groups[0], 0, range(len(groups[0].lead_names)))], groups[0].lead_names
    fs, origin_s = groups[0].fs, min(group.start_s for group in groups)
    names = tuple(dict.fromkeys(name for group in groups for name in group.lead_names))
    if any(len(set(group.lead_names)) < len(group.lead_names) for group in groups):
        raise ReadError(
            say("{file} names a lead twice.", file=path.name),
            hint=say("Export it again."),
            code="ambiguous_leads",
        )
    repairs.append(
        say("{n} groups of leads were put together by their time offsets.", n=len(groups))
    )
    return [
        _Placed(
            group,
            round((group.start_s - origin_s) * fs),
            [names.index(name) for name in group.lead_names],
        )
        for group in sorted(groups, key=lambda group: group.n_samples)
    ], names


def _gain(channels: Iterable[Any]) -> str:
    def one(channel: Any) -> str:  # noqa: ANN401 - see parse
        correction = channel.get("ChannelSensitivityCorrectionFactor")
        value = float(channel.get("ChannelSensitivity") or 0)
        return f"{value * float(1 if correction is None else correction):g} {_unit(channel)}"

    return say("{gain} a count", gain=", ".join(sorted({one(channel) for channel in channels})))


def _filters(channels: Iterable[Any]) -> tuple[str, ...]:
    names = (
        ("FilterLowFrequency", high_pass),
        ("FilterHighFrequency", low_pass),
        ("NotchFilterFrequency", notch),
    )
    found = (
        text(float(channel.get(key)))
        for channel in channels
        for key, text in names
        if float(channel.get(key) or 0)
    )
    return tuple(dict.fromkeys(found))

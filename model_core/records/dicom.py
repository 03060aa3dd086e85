"""DICOM objects: the ECG as a waveform (PS3.3 A.34.3), the report as Encapsulated PDF (A.45.1)."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from model_core.errors import ExportError
from model_core.leads import STANDARD_LEADS
from model_core.types import Recording
from model_core.wording import say

if TYPE_CHECKING:
    from pydicom import Dataset

_TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
_GENERAL_ECG = "1.2.840.10008.5.1.4.1.1.9.1.2"
_ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
# Lead codes of ISO/IEEE 11073-10102, partition 2 (PS3.16 CID 3001).
_LEAD_CODES = {
    **{name: f"2:{n}" for n, name in enumerate(("I", "II"), start=1)},
    **{f"V{n}": f"2:{n + 2}" for n in range(1, 8)},
    **{name: f"2:{n}" for n, name in enumerate(("III", "aVR", "aVL", "aVF"), start=61)},
    **{"V8": "2:66", "V9": "2:67", "X": "2:16", "Y": "2:17", "Z": "2:18"},
}
# PS3.3 A.34.3 and A.34.4: resting ECGs have 200 to 1,000 samples a second.
_RATES_HZ = (200.0, 1000.0)
_MOST_CHANNELS = 24
_PADDING = -32768
_MICROVOLTS_PER_STEP = 1.0
_SEXES = {"female": "F", "male": "M"}
_OTHERWISE = say("Save it in another form.")
# What the standard demands and the file does not state, or may not.
_NO_MOMENT = "19000101000000"


def dicom_ecg(recording: Recording, *, is_deidentified: bool, study_id: str) -> bytes:
    """Write a recording as a DICOM waveform file.

    Parameters
    ----------
    recording
        Signal in mV; missing samples become padding. Written in whole microvolts.
    is_deidentified
        Whether `recording` has been through `deidentified`; stated in the file.
    study_id
        Stands as patient and study identifier.

    Returns
    -------
    bytes
        The file: 12-Lead ECG Waveform Storage for the twelve leads alone, else General ECG.

    Raises
    ------
    ExportError
        If the standard has no place for such a recording.
    """
    from pydicom import Dataset

    low, high = _RATES_HZ
    if not low <= recording.fs <= high:
        raise ExportError(
            say(
                "DICOM holds resting ECGs of 200 to 1,000 samples a second; this one has {fs:g}, "
                "and nothing is resampled behind your back.",
                fs=recording.fs,
            ),
            hint=_OTHERWISE,
            code="dicom_rate",
        )
    unknown = [name for name in recording.lead_names if name not in _LEAD_CODES]
    if unknown or recording.n_leads > _MOST_CHANNELS:
        raise ExportError(
            say("DICOM has no code for these leads: {leads}.", leads=", ".join(unknown))
            if unknown
            else say(
                "DICOM holds at most {most} leads; this recording has more.", most=_MOST_CHANNELS
            ),
            hint=_OTHERWISE,
            code="dicom_leads",
        )
    signal_uv = recording.signal_mv.astype(np.float64) * 1000 / _MICROVOLTS_PER_STEP
    finite = np.isfinite(signal_uv)
    if finite.any() and np.abs(signal_uv[finite]).max() > -_PADDING - 1:
        raise ExportError(
            say("Some samples exceed 32 mV, which the file's 16-bit microvolts cannot hold."),
            hint=_OTHERWISE,
            code="dicom_range",
        )
    samples = np.where(finite, np.round(np.where(finite, signal_uv, 0.0)), _PADDING).astype("<i2")
    twelve = set(recording.lead_names) == set(STANDARD_LEADS)
    whole = _common(_TWELVE_LEAD_ECG if twelve else _GENERAL_ECG, recording, study_id)
    whole.Modality = "ECG"
    whole.AcquisitionDateTime = _start(recording) or _NO_MOMENT
    whole.AcquisitionContextSequence = []
    _state_deidentified(whole, is_deidentified=is_deidentified)
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels = recording.n_leads
    group.NumberOfWaveformSamples = recording.n_samples
    group.SamplingFrequency = f"{recording.fs:.10g}"
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = [_channel(name) for name in recording.lead_names]
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.add_new(0x5400100A, "OW", np.asarray([_PADDING], dtype="<i2").tobytes())
    group.add_new(0x54001010, "OW", np.ascontiguousarray(samples.T).tobytes())
    whole.WaveformSequence = [group]
    return _file(whole)


def dicom_report(
    pdf: bytes, recording: Recording, *, title: str, study_id: str, is_deidentified: bool
) -> bytes:
    """Write a report in PDF as a DICOM file.

    Parameters
    ----------
    pdf
        The report's bytes.
    recording
        What it is about.
    title
        Of the document.
    study_id
        As in `dicom_ecg`.
    is_deidentified
        Whether the report holds no identity; stated in the file.
    """
    whole = _common(_ENCAPSULATED_PDF, recording, study_id)
    whole.Modality = "DOC"
    whole.ConversionType = "WSD"
    whole.AcquisitionDateTime = _start(recording) or _NO_MOMENT
    whole.BurnedInAnnotation = "NO" if is_deidentified else "YES"
    _state_deidentified(whole, is_deidentified=is_deidentified)
    whole.DocumentTitle = title
    whole.ConceptNameCodeSequence = [_code("11524-6", "LN", "EKG study")]
    whole.MIMETypeOfEncapsulatedDocument = "application/pdf"
    whole.EncapsulatedDocumentLength = len(pdf)
    whole.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    return _file(whole)


def _common(sop_class: str, recording: Recording, study_id: str) -> Dataset:
    """Patient, study, series and equipment, of what is known."""
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    metadata = recording.metadata
    whole = Dataset()
    whole.SpecificCharacterSet = "ISO_IR 192"
    whole.SOPClassUID = sop_class
    whole.SOPInstanceUID = generate_uid(prefix=None)
    whole.StudyInstanceUID = generate_uid(prefix=None)
    whole.SeriesInstanceUID = generate_uid(prefix=None)
    facts = dict(metadata.patient)
    whole.PatientName = facts.get("Name", study_id)
    whole.PatientID = facts.get("Identifier", study_id)
    whole.PatientBirthDate = ""
    whole.PatientSex = _SEXES.get(metadata.sex, "")
    if metadata.age_y is not None:
        whole.PatientAge = f"{min(int(metadata.age_y), 999):03d}Y"
    started = _start(recording)
    whole.StudyDate = started[:8]
    whole.StudyTime = started[8:14]
    now = datetime.now(tz=UTC)
    whole.ContentDate = now.strftime("%Y%m%d")
    whole.ContentTime = now.strftime("%H%M%S")
    whole.InstanceCreationDate, whole.InstanceCreationTime = whole.ContentDate, whole.ContentTime
    whole.StudyID = ""
    whole.AccessionNumber = ""
    whole.ReferringPhysicianName = ""
    whole.SeriesNumber = 1
    whole.InstanceNumber = 1
    whole.Laterality = ""
    whole.Manufacturer = "EchoingECG"
    whole.ManufacturerModelName = "EchoingECG desktop"
    return whole


def _state_deidentified(whole: Dataset, *, is_deidentified: bool) -> None:
    """State by what rule the identity was removed (PS3.16 CID 7050)."""
    if is_deidentified:
        whole.PatientIdentityRemoved = "YES"
        profile = _code("113100", "DCM", "Basic Application Confidentiality Profile")
        whole.DeidentificationMethodCodeSequence = [profile]


def _start(recording: Recording) -> str:
    """Start as the file states it, in DICOM's digits; empty where it states none."""
    try:
        moment = datetime.fromisoformat(recording.metadata.acquired_at)
    except ValueError:
        return ""
    return moment.strftime("%Y%m%d%H%M%S")


def _channel(lead: str) -> Dataset:
    from pydicom import Dataset

    channel = Dataset()
    channel.ChannelLabel = lead
    channel.ChannelSourceSequence = [_code(_LEAD_CODES[lead], "MDC", f"Lead {lead}")]
    channel.ChannelSensitivity = f"{_MICROVOLTS_PER_STEP:g}"
    channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    channel.ChannelSensitivityCorrectionFactor = "1"
    channel.ChannelBaseline = "0"
    channel.ChannelTimeSkew = "0"
    channel.WaveformBitsStored = 16
    return channel


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def _file(whole: Dataset) -> bytes:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = whole.SOPClassUID
    meta.MediaStorageSOPInstanceUID = whole.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    out = io.BytesIO()
    file = FileDataset("", whole, file_meta=meta, preamble=b"\0" * 128)
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()

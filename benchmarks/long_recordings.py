"""Open a day of ECG: ``python benchmarks/long_recordings.py [--hours 24]``.

Writes a recording of 24 h, 12 leads, 1 kHz (2 GB) in each format, one after the other,
and measures in a fresh process what the program does with it. Prints a Markdown table for
docs/formats.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_core.leads import LIMB_FROM_I_AND_II, STANDARD_LEADS

Counts = NDArray[np.int16]
UV_PER_COUNT = 2.5
RATES = (60, 75, 100, 140)  # beats a minute, one minute each
ROOT = Path(__file__).parents[1]
FS = 1000
N_PAGES = 20


def minutes(n_minutes: int, fs: int) -> Iterator[Counts]:
    """ECG-like counts, 12 leads x one minute at a time; the heart rate changes every minute."""
    rng = np.random.default_rng(7)
    made: list[Counts] = []
    for rate in RATES:
        time_s = np.arange(60 * fs) / fs
        phase_s = time_s % (60 / rate) - 0.25
        beat = np.exp(-((phase_s / 0.012) ** 2)) + 0.25 * np.exp(-(((phase_s - 0.2) / 0.04) ** 2))
        chest = np.linspace(0.4, 1.6, 6)[:, None] * beat
        one, two = 0.7 * beat, 1.1 * beat
        limb = [a * one + b * two for a, b in LIMB_FROM_I_AND_II.values()]
        names = ["I", "II", *LIMB_FROM_I_AND_II, *STANDARD_LEADS[6:]]
        rows = np.array([one, two, *limb, *chest])[[names.index(n) for n in STANDARD_LEADS]]
        rows = rows * 1000 / UV_PER_COUNT + rng.normal(0, 2, rows.shape[1])
        made.append(np.rint(rows).astype("<i2"))
    for number in range(n_minutes):
        yield made[number % len(made)]


def write_wfdb(path: Path, n_minutes: int, fs: int) -> Path:
    """Write format 16 with right checksums."""
    sums = np.zeros(12, dtype=np.int64)
    first = np.zeros(12, dtype=np.int64)
    with path.with_suffix(".dat").open("wb") as file:
        for number, counts in enumerate(minutes(n_minutes, fs)):
            first = counts[:, 0].astype(np.int64) if number == 0 else first
            sums += counts.sum(axis=1, dtype=np.int64)
            file.write(np.ascontiguousarray(counts.T).tobytes())
    lines = [f"{path.stem} 12 {fs} {n_minutes * 60 * fs} 13:00:00 01/02/2026"]
    checks = (sums + 32768) % 65536 - 32768
    for name, initial, check in zip(STANDARD_LEADS, first, checks, strict=True):
        lines.append(f"{path.stem}.dat 16 400/mV 16 0 {initial} {check} 0 {name}")
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n", encoding="ascii")
    return path.with_suffix(".hea")


def write_edf(path: Path, n_minutes: int, fs: int) -> Path:
    """Write EDF in records of one second."""

    def columns(width: int, texts: list[str]) -> bytes:
        return b"".join(text.encode("ascii").ljust(width) for text in texts)

    header = b"0       " + b"".ljust(80) + b"".ljust(80) + b"01.02.2613.00.00"
    header += (
        str(256 * 13).encode().ljust(8) + b"".ljust(44) + str(60 * n_minutes).encode().ljust(8)
    )
    header += b"1".ljust(8) + b"12".ljust(4)
    limits = [str(-32768 * UV_PER_COUNT), str(32767 * UV_PER_COUNT)[:8], "-32768", "32767"]
    header += columns(16, [f"ECG {name}" for name in STANDARD_LEADS]) + columns(80, [""] * 12)
    header += columns(8, ["uV"] * 12) + b"".join(columns(8, [limit] * 12) for limit in limits)
    header += columns(80, [""] * 12) + columns(8, [str(fs)] * 12) + columns(32, [""] * 12)
    path = path.with_suffix(".edf")
    with path.open("wb") as file:
        file.write(header)
        for counts in minutes(n_minutes, fs):
            file.write(np.ascontiguousarray(counts.reshape(12, 60, fs).swapaxes(0, 1)).tobytes())
    return path


def write_ishne(path: Path, n_minutes: int, fs: int) -> Path:
    """Write an ISHNE Holter file."""
    header = bytearray(522)
    header[:8] = b"ISHNE1.0"

    def put(position: int, *values: int) -> None:
        data = np.array(values, "<i2").tobytes()
        header[position : position + len(data)] = data

    header[14:18] = (n_minutes * 60 * fs).to_bytes(4, "little")
    header[18:26] = np.array([522, 522], "<i4").tobytes()
    put(26, 1)
    put(138, 1, 2, 2026)
    put(150, 13, 0, 0)
    put(156, 12)
    put(158, *range(5, 17))  # codes of I to V6
    put(206, *[round(UV_PER_COUNT * 1000)] * 12)
    put(272, fs)
    path = path.with_suffix(".ecg")
    with path.open("wb") as file:
        file.write(header)
        for counts in minutes(n_minutes, fs):
            file.write(np.ascontiguousarray(counts.T).tobytes())
    return path


def write_dicom(path: Path, n_minutes: int, fs: int) -> Path:
    """Write a general ECG, explicit VR little endian, in sequences without a stated length."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence
    from pydicom.uid import ExplicitVRLittleEndian, GeneralECGWaveformStorage, generate_uid

    def one(**elements: object) -> Sequence:
        item = Dataset()
        for name, value in elements.items():
            setattr(item, name, value)
        return Sequence([item])

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = GeneralECGWaveformStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    unit = one(CodeValue="uV", CodingSchemeDesignator="UCUM", CodeMeaning="microvolt")
    channels = Sequence()
    for name in STANDARD_LEADS:
        source = one(CodeValue="0", CodingSchemeDesignator="99TEST", CodeMeaning=f"Lead {name}")
        channels += one(
            ChannelSourceSequence=source,
            ChannelSensitivity=UV_PER_COUNT,
            ChannelSensitivityUnitsSequence=unit,
            ChannelSensitivityCorrectionFactor=1,
            ChannelBaseline=0,
            WaveformBitsStored=16,
        )
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.AcquisitionDateTime = "20260201130000"
    dataset.WaveformSequence = one(
        WaveformOriginality="ORIGINAL",
        NumberOfWaveformChannels=12,
        NumberOfWaveformSamples=n_minutes * 60 * fs,
        SamplingFrequency=fs,
        ChannelDefinitionSequence=channels,
        WaveformBitsAllocated=16,
        WaveformSampleInterpretation="SS",
        WaveformData=b"\0\0",
    )
    dataset["WaveformSequence"].is_undefined_length = True
    dataset.WaveformSequence[0].is_undefined_length_sequence_item = True
    path = path.with_suffix(".dcm")
    dataset.save_as(path, enforce_file_format=True)
    made = path.read_bytes()
    end = made.rindex(b"\x00\x54\x10\x10OW\0\0") + 8
    size = 2 * 12 * n_minutes * 60 * fs
    with path.open("wb") as file:
        file.write(made[:end] + size.to_bytes(4, "little"))
        for counts in minutes(n_minutes, fs):
            file.write(np.ascontiguousarray(counts.T).tobytes())
        file.write(made[end + 6 :])
    return path


def write_mfer(path: Path, n_minutes: int, fs: int, samples_a_block: int = 0) -> Path:
    """Write MFER in blocks of one second, or of so many samples, in frames of an hour or less."""

    def field(tag: int, value: bytes) -> bytes:
        return bytes([tag, len(value)]) + value

    block = samples_a_block or fs
    head = field(0x40, b"MFR ".ljust(32)) + field(0x01, b"\1") + field(0x08, b"\2\0")
    head += field(0x0B, b"\0\0" + fs.to_bytes(2, "little"))
    head += field(0x0C, b"\0" + bytes([256 - 7]) + round(UV_PER_COUNT * 10).to_bytes(2, "little"))
    head += field(0x85, (2026).to_bytes(2, "little") + bytes([2, 1, 13, 0, 0]) + bytes(4))
    head += field(0x04, block.to_bytes(4, "little")) + field(0x05, b"\x0c") + field(0x0A, b"\0")
    for channel, code in enumerate((1, 2, 61, 62, 63, 64, *range(3, 9))):
        head += bytes([0x3F, channel, 3]) + field(0x09, bytes([code]))
    path = path.with_suffix(".mwf")
    with path.open("wb") as file:
        file.write(head)
        for number, counts in enumerate(minutes(n_minutes, fs)):
            if number % 60 == 0:
                size = 2 * 12 * 60 * fs * min(60, n_minutes - number)
                file.write(b"\x1e\x84" + size.to_bytes(4, "big"))
            blocks = counts.reshape(12, -1, block).swapaxes(0, 1)
            file.write(np.ascontiguousarray(blocks).tobytes())
        file.write(b"\x80\0")
    return path


WRITERS: dict[str, Callable[[Path, int, int], Path]] = {
    "WFDB, format 16": write_wfdb,
    "EDF": write_edf,
    "ISHNE": write_ishne,
    "DICOM": write_dicom,
    "MFER": write_mfer,
}


def measure(path: Path) -> dict[str, float]:
    """Open, show pages at random places, survey; seconds and MB above what stood before."""
    from model_core.io import open_lead, open_recording, read_part
    from model_core.long_recording import LongRecording, survey

    def peak_mb() -> float:
        # Not getrusage: that begins with the peak of the process that started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6

    before_mb, begun = peak_mb(), time.perf_counter()
    import wfdb  # noqa: F401 - as the reading process does before its first file

    figures = {"load_s": time.perf_counter() - begun, "load_mb": peak_mb() - before_mb}
    before_mb, begun, worked = peak_mb(), time.perf_counter(), time.process_time()
    long = open_recording(path)
    assert isinstance(long, LongRecording)
    read_part(long, 0, 10)
    figures |= {
        "open_s": time.perf_counter() - begun,
        "open_cpu_s": time.process_time() - worked,
        "open_mb": peak_mb() - before_mb,
    }
    places = np.random.default_rng(1).uniform(0, long.duration_s - 10, N_PAGES)
    taken: list[float] = []
    for start_s in places:
        begun = time.perf_counter()
        read_part(long, float(start_s), 10)
        taken.append(time.perf_counter() - begun)
    figures["page_s"] = statistics.median(taken)
    begun = time.perf_counter()
    for overview in survey(open_lead(long, "II"), long.n_samples, long.fs, "II"):
        figures.setdefault("first_stretch_s", time.perf_counter() - begun)
        assert np.isfinite(overview.low_mv[0])
    figures["overview_s"] = time.perf_counter() - begun
    return figures | {"all_mb": peak_mb() - before_mb}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    print("| format | GB | decoders, s | MB | open and show, s | of a processor | MB |", end="")
    print(" another page, ms | overview, s | MB for all |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for kind, write in WRITERS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder) / "day", 60 * options.hours, FS)
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            command = [sys.executable, "-m", "benchmarks.long_recordings", "--measure", str(path)]
            found = json.loads(subprocess.check_output(command, cwd=ROOT, text=True))
        print(
            f"| {kind} | {size / 1e9:.2f} | {found['load_s']:.2f} | {found['load_mb']:.0f} | "
            f"{found['open_s']:.2f} | {found['open_cpu_s']:.2f} | {found['open_mb']:.0f} | "
            f"{1000 * found['page_s']:.0f} | {found['overview_s']:.0f} | {found['all_mb']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

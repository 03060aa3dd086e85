"""Read damaged files: ``python -m benchmarks.fuzz_readers [--mutations 1000] [--seconds 60]``.

Each parser gets seeded mutations of whole files (bytes changed, cut out, doubled, zeroed, numbers
of the header made extreme), in a process of its own. Whatever a file holds, a parser may only give
a recording or raise one of our errors, within 2 s and 512 MB. Prints a Markdown table; the exit
code is 1 if a parser did anything else. ``--seconds 0`` sets no limit to the time of all together.
Real files come from ../shared/samples; without them, only files that are written here are used.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.long_recordings import WRITERS, write_edf, write_ishne, write_mfer, write_wfdb
from model_core.errors import EchoingError
from model_core.io import TableLayout, open_lead, open_recording, propose_layout, read_part
from model_core.leads import STANDARD_LEADS
from model_core.long_recording import LongRecording
from model_core.types import Recording

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT.parent / "shared" / "samples"
LARGEST_SEED = 300_000
MOST_S = 2.0
MOST_MB = 512.0
KILL_AFTER_S = 10
# Formats that hold a checksum over the samples
CHECKED = ("WFDB", "SCP")
_EXTREME = (b"0", b"-1", b"99999999", b"4294967295", b"1e308", b"-32769", b"nan", b"")


@dataclass
class Outcome:
    """What a parser did with its mutants; `faults` are what it must never do."""

    parser: str
    tried: int = 0
    read: int = 0
    slowest_s: float = 0.0
    peak_mb: float = 0.0
    faults: list[str] = field(default_factory=list)


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage the bytes of a file in one to three ways."""
    for _ in range(rng.integers(1, 4)):
        if not data:
            break
        # Half of the damage in the header, where there is most to misunderstand.
        reach = min(len(data), 2048) if rng.random() < 0.5 else len(data)
        at = int(rng.integers(0, reach))
        size = int(min(len(data) - at, 2 ** rng.integers(0, 12)))
        piece = data[at : at + size]
        kind = rng.integers(0, 8)
        if kind == 0:
            changed = bytearray(data)
            for place in rng.integers(0, reach, rng.integers(1, 9)):
                changed[int(place)] ^= 1 << int(rng.integers(0, 8))
            data = bytes(changed)
        elif kind == 1:
            data = data[:at] + rng.bytes(size) + data[at + size :]
        elif kind == 2:
            data = data[:at] + data[at + size :]
        elif kind == 3:
            data = data[:at] + piece + piece + data[at + size :]
        elif kind == 4:
            data = data[:at] + bytes(size) + data[at + size :]
        elif kind == 5:
            data = data[:at]
        elif kind == 6:
            numbers = list(re.finditer(rb"-?\d+(?:\.\d+)?", data[:reach]))
            if numbers:
                chosen = numbers[int(rng.integers(0, len(numbers)))]
                extreme = _EXTREME[int(rng.integers(0, len(_EXTREME)))]
                data = data[: chosen.start()] + extreme + data[chosen.end() :]
        else:
            width = int(rng.choice([1, 2, 4, 8]))
            value = rng.choice([b"\x00", b"\x7f", b"\x80", b"\xff"])
            data = data[:at] + bytes(value) * width + data[at + width :]
    return data


def read_all(path: Path) -> Recording | None:
    """Read a file as the program does, a part of it if it is long; None if it was refused."""
    try:
        found = open_recording(path)
        if isinstance(found, LongRecording):
            open_lead(found, found.lead_names[0])(0, min(found.n_samples, 5000))
            found = read_part(found, found.duration_s / 2, 10.0)
    except EchoingError:
        return None
    return found


def read_as_table(path: Path) -> Recording | None:
    """Ask what a table suggests and read it so, or by a fixed layout."""
    layout = TableLayout(500.0, "mV", STANDARD_LEADS, skip_rows=1)
    with contextlib.suppress(EchoingError):
        propose_layout(path)
    try:
        found = open_recording(path, layout)
    except EchoingError:
        return None
    return found if isinstance(found, Recording) else None


def seeds(parser: str, folder: Path) -> list[Path]:
    """Get valid files of a format: what is at hand, and what is written into a folder."""
    from tests.unit import test_reader_xml as made

    def sample(pattern: str) -> list[Path]:
        found = sorted(SAMPLES.glob(pattern)) if SAMPLES.is_dir() else []
        return [path for path in found if path.stat().st_size <= LARGEST_SEED]

    def written(write: Callable[..., Path], *arguments: object) -> list[Path]:
        return [write(*arguments)]

    counts = made.counts(12, 600)
    return {
        "WFDB": lambda: written(write_wfdb, folder / "w", 1, 60) + sample("edge_cases/wf_8l*.hea"),
        "EDF": lambda: written(write_edf, folder / "e", 2, 60) + sample("edf/*.edf"),
        "ISHNE": lambda: written(write_ishne, folder / "i", 2, 60),
        "MFER": lambda: written(made.mfer, folder / "m.mwf", counts, b"\x01\xfd\x02\x00"),
        "MUSE": lambda: written(made.muse, folder / "m.xml", counts[:8]),
        "CardioSoft": lambda: written(made.cardiosoft, folder / "c.xml", made.strip(counts[:8])),
        "Schiller": lambda: written(made.schiller, folder / "s.xml", counts[:8]),
        "DICOM": lambda: sample("edge_cases/*.dcm") + sample("dicom/*.dcm"),
        "SCP": lambda: sample("scp/*.scp"),
        "aECG": lambda: sample("aecg/*.xml"),
        "Sierra": lambda: sample("philips_sierra_xml/*"),
        "Mortara": lambda: sample("mortara_xml/*.xml"),
        "table": lambda: [_table(folder)],
        # At this rate the samples of DICOM are more than is read at once.
        "parts of long files": lambda: [
            *(write(folder / "l", 2, 400) for write in WRITERS.values()),
            write_mfer(folder / "l1", 2, 400, 1),
        ],
    }[parser]()


PARSERS = (
    *("WFDB", "EDF", "ISHNE", "MFER", "MUSE", "CardioSoft", "Schiller"),
    *("DICOM", "SCP", "aECG", "Sierra", "Mortara", "table", "parts of long files"),
)


def _table(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    lines = [",".join(f"{name} [mV]" for name in STANDARD_LEADS)]
    lines += [",".join(f"{value:.3f}" for value in row) for row in rng.normal(0, 1, (300, 12))]
    (folder / "t.csv").write_text("\n".join(lines), encoding="ascii")
    return folder / "t.csv"


def fuzz(parser: str, n_mutations: int, most_s: float, seed: int = 20261126) -> Outcome:
    """Read mutants of the files of one format, in turn; stop at `most_s` seconds, if above 0."""
    outcome = Outcome(parser, peak_mb=_peak_mb())
    read = read_as_table if parser == "table" else read_all
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as place:
        files = seeds(parser, Path(made))
        valid = [read(path) for path in files]
        assert all(valid), [
            path.name for path, found in zip(files, valid, strict=True) if not found
        ]
        for number in range(n_mutations if files else 0):
            if most_s and time.monotonic() - begun > most_s:
                break
            rng = np.random.default_rng([seed, number])
            path, original = files[number % len(files)], valid[number % len(files)]
            target = Path(place) / path.name
            parts = [path]
            if path.suffix == ".hea":
                parts = [path, path.with_suffix(".dat")]
            for part in parts:
                shutil.copyfile(part, target.with_name(part.name))
            victim = parts[int(rng.integers(0, len(parts)))]
            target.with_name(victim.name).write_bytes(mutate(victim.read_bytes(), rng))
            found = _one(outcome, number, lambda target=target: read(target))
            checked = parser in CHECKED and victim.suffix != ".hea"
            if checked and found is not None and original is not None:
                same = (found.fs, found.lead_names) == (original.fs, original.lead_names)
                same = same and np.array_equal(found.signal_mv, original.signal_mv, equal_nan=True)
                outcome.faults += [] if same else [f"mutant {number}: changed, and not told"]
    return outcome


def _too_long(*_: object) -> None:
    raise TimeoutError


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def _one(outcome: Outcome, number: int, read: Callable[[], Recording | None]) -> Recording | None:
    """Read one mutant and judge what happened."""
    # Tests have a timer of their own, which this one would end.
    own_timer = signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, _too_long)
    if own_timer:
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(KILL_AFTER_S)
    begun = time.monotonic()
    found = None
    try:
        found = read()
    except BaseException:  # noqa: BLE001 - whatever it is, it is a finding
        outcome.faults.append(f"mutant {number}: {traceback.format_exc(limit=-3)}")
    if own_timer:
        signal.alarm(0)
    taken_s = time.monotonic() - begun
    outcome.tried += 1
    outcome.read += found is not None
    outcome.slowest_s = max(outcome.slowest_s, taken_s)
    if taken_s > MOST_S:
        outcome.faults.append(f"mutant {number}: {taken_s:.1f} s")
    if _peak_mb() > max(MOST_MB, outcome.peak_mb):
        outcome.faults.append(f"mutant {number}: {_peak_mb():.0f} MB")
    outcome.peak_mb = max(outcome.peak_mb, _peak_mb())
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=1000, help="for each parser")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all parsers together")
    parser.add_argument("--only", choices=PARSERS)
    parser.add_argument("--seed", type=int, default=20261126)
    options = parser.parse_args()
    if options.only:
        outcome = fuzz(options.only, options.mutations, options.seconds, options.seed)
        print(json.dumps(asdict(outcome)))
        return 0
    print("| parser | mutants | still read | slowest, s | peak, MB | faults |")
    print("|---|---|---|---|---|---|")
    faults: list[str] = []
    for name in PARSERS:
        command = [sys.executable, "-m", "benchmarks.fuzz_readers", "--only", name]
        command += ["--mutations", str(options.mutations), "--seed", str(options.seed)]
        command += ["--seconds", str(options.seconds / len(PARSERS))]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if run.returncode:
            faults.append(f"{name}: the process ended with {run.returncode}. {run.stderr[-800:]}")
            continue
        found = Outcome(**json.loads(run.stdout.splitlines()[-1]))
        faults += [f"{name}, {fault}" for fault in found.faults]
        print(
            f"| {name} | {found.tried} | {found.read} | {found.slowest_s:.2f} | "
            f"{found.peak_mb:.0f} | {len(found.faults)} |",
            flush=True,
        )
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

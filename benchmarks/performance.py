"""Write ``docs/performance.md``: ``python benchmarks/performance.py dist/echoing``.

Needs the built bundle and its archive beside it; takes a few minutes on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "performance.md"
PACKAGES = ("numpy", "onnxruntime", "PySide6-Essentials", "wfdb", "pandas")
MIB = 2**20


def machine() -> str:
    """One line about where the figures come from."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}, "
        f"Python {platform.python_version()}"
    )


def table(script: str, *arguments: str) -> str:
    """Table that another benchmark prints."""
    command = [sys.executable, "-m", f"benchmarks.{script.removesuffix('.py')}", *arguments]
    return subprocess.check_output(command, cwd=ROOT, text=True).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--ecgs", type=Path, help="folder of WFDB records, for the work list")
    options = parser.parse_args()
    bundle: Path = options.bundle
    work_list: list[str] = []
    if options.ecgs is not None:
        work_list = [
            *("## Work list", ""),
            "Targets: >= 15 ECG/s on two cores, <= 100 ms to sort and scroll.",
            *("", table("work_list.py", str(options.ecgs)), ""),
        ]
    packed = [
        f"| {path.name} | {path.stat().st_size / MIB:.1f} |"
        for path in sorted(bundle.parent.iterdir())
        if path.suffix in {".xz", ".deb"}
    ]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    TARGET.write_text(
        "\n".join(
            [
                "# Performance, measured",
                "",
                "Written by `python benchmarks/performance.py dist/echoing`; not edited by hand.",
                "",
                f"{datetime.now(UTC):%Y-%m-%d}. {machine()}. {versions}. Load average when begun: "
                f"{os.getloadavg()[0]:.1f} (an idle machine has less than 0.5).",
                "",
                "## Start-up and memory",
                "",
                "Demonstration ECG, window off screen. Targets: window painted <= 1.5 s and first",
                "result <= 2.0 s warm, peak memory <= 250 MB.",
                "",
                table("startup.py", str(bundle)),
                "",
                "## Long recordings",
                "",
                "24 h, 12 leads, 1 kHz, in a fresh process. Targets: opened and shown in <= 1 s",
                "with <= 150 MB.",
                "",
                table("long_recordings.py"),
                "",
                "## Size of the bundle",
                "",
                "Targets: <= 340 MiB unpacked, <= 120 MiB as tar.xz.",
                "",
                table("bundle_size.py", str(bundle)),
                "",
                "| packed | MiB |",
                "|---|---|",
                *packed,
                "",
                "## Panning",
                "",
                "1920 x 1080, raster, strips on; target: <= 33 ms a frame. Processor time of the",
                "thread that paints, which does all the work.",
                "",
                table("pan_frames.py"),
                "",
                *work_list,
            ]
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()

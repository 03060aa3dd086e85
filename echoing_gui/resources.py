"""Where the files that come with the program lie: source checkout, wheel or frozen bundle."""

from __future__ import annotations

import functools
import sys
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "echoing-ecg"
TITLE = "EchoingECG"


def asset(*parts: str) -> Path:
    """Path of a file or folder under ``assets``.

    Parameters
    ----------
    *parts
        Names below ``assets``, for instance ``"icons", "open.svg"``.
    """
    package = Path(__file__).parent
    frozen = getattr(sys, "_MEIPASS", None)
    if frozen:
        root = Path(frozen) / "assets"
    elif (package / "assets").is_dir():  # wheel
        root = package / "assets"
    else:
        root = package.parent / "assets"
    return root.joinpath(*parts)


def default_package_path() -> Path:
    """Folder of the model package that comes with the program."""
    return asset("models", "default")


def demo_recording_path() -> Path:
    """Header of the demonstration ECG, which is simulated."""
    return asset("demo", "demo_simulated_ecg.hea")


@functools.cache
def program_version() -> str:
    """Version of the installed program; ``unknown`` when run from files that were not installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"

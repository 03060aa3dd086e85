"""What tests of several readers ask: the import report, and the refusal as a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_core.errors import ReadError
from model_core.io import read_recording
from model_core.types import ImportReport, Recording


def report_of(recording: Recording) -> ImportReport:
    assert recording.metadata.report is not None
    return recording.metadata.report


def refusal(path: Path) -> ReadError:
    with pytest.raises(ReadError) as caught:
        read_recording(path)
    assert str(caught.value).endswith(".")
    return caught.value

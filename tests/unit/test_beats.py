"""Median beats on paper: one place a lead, nothing over anything else, all in one scale."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from echoing_gui.view_models.beats import Beats, beat_sheets, beat_width_mm
from model_core.leads import STANDARD_LEADS
from model_core.types import FloatArray

FS = 500.0


def beat(height_mv: float = 1.0, n_samples: int = 400) -> FloatArray:
    values = np.zeros(n_samples, np.float32)
    values[150:160] = height_mv
    return values


def of(leads: tuple[str, ...], *, height_mv: float = 1.0) -> Beats:
    return Beats({lead: beat(height_mv) for lead in leads}, FS)


def test_with_room_the_twelve_leads_stand_as_on_an_ecg() -> None:
    (sheet,) = beat_sheets((of(STANDARD_LEADS),), 25.0, 10.0, 300.0)
    columns = sorted({piece.x_mm for piece in sheet.pieces})
    by_column = [[p.lead for p in sheet.pieces if p.x_mm == x_mm] for x_mm in columns]
    assert by_column == [
        ["I", "II", "III"], ["aVR", "aVL", "aVF"], ["V1", "V2", "V3"], ["V4", "V5", "V6"],
    ]  # fmt: skip


@pytest.mark.parametrize("width_mm", [25.0, 60.0, 120.0, 480.0])
@pytest.mark.parametrize("gain", [5.0, 20.0])
def test_beats_stay_within_the_paper_and_off_one_another(width_mm: float, gain: float) -> None:
    (sheet,) = beat_sheets((of(STANDARD_LEADS, height_mv=2.5),), 25.0, gain, width_mm)
    room = max(width_mm, beat_width_mm(0.8, 25.0))
    boxes: list[tuple[float, float, float, float]] = []
    for piece in sheet.pieces:
        right = piece.x_mm + piece.values_mv.size / FS * 25.0
        top = piece.baseline_mm - 2.5 * gain
        assert right <= room
        assert top >= 0
        assert piece.baseline_mm < piece.bottom_mm <= sheet.height_mm
        boxes.append((piece.x_mm, right, top, piece.bottom_mm))
    for (a0, a1, a2, a3), (b0, b1, b2, b3) in itertools.combinations(boxes, 2):
        assert a1 <= b0 or b1 <= a0 or a3 <= b2 or b3 <= a2


def test_two_recordings_share_places_and_scale() -> None:
    first, second = beat_sheets(
        (of(("I", "V9")), of(("I", "II"), height_mv=2.0)), 50.0, 10.0, 100.0
    )
    assert first.speed_mm_s == second.speed_mm_s == 50.0
    assert first.pulses == second.pulses
    for one, other in zip(first.pieces, second.pieces, strict=True):
        assert (one.lead, one.x_mm, one.baseline_mm) == (other.lead, other.x_mm, other.baseline_mm)
        assert one.gain_mm_mv == other.gain_mm_mv == 10.0
    assert [piece.lead for piece in first.pieces] == ["I", "V9", "II"]
    # A lead that only the other has leaves no line.
    assert np.isnan(first.pieces[2].values_mv).all()
    assert np.isnan(second.pieces[1].values_mv).all()


def test_no_beats_no_pieces() -> None:
    (sheet,) = beat_sheets((Beats({}, FS),), 25.0, 10.0, 100.0)
    assert sheet.pieces == ()

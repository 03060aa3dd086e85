"""Median beats on paper: one place a lead, nothing over anything else, all in one scale."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest

from echoing_gui.state import DisplayOptions
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


@pytest.mark.parametrize(
    ("width_mm", "expected"),
    [
        (110.0, zip(*[iter(STANDARD_LEADS)] * 3, strict=True)),
        (300.0, zip(STANDARD_LEADS[:6], STANDARD_LEADS[6:], strict=True)),
    ],
)
def test_with_room_the_twelve_leads_stand_as_on_an_ecg(
    width_mm: float, expected: Iterable[tuple[str, ...]]
) -> None:
    (sheet,) = beat_sheets((of(STANDARD_LEADS),), DisplayOptions(), width_mm)
    columns = sorted({piece.x_mm for piece in sheet.pieces})
    by_column = [[p.lead for p in sheet.pieces if p.x_mm == x_mm] for x_mm in columns]
    assert by_column == list(map(list, expected))


@pytest.mark.parametrize("width_mm", [25.0, 60.0, 120.0, 480.0])
@pytest.mark.parametrize("gain", [5.0, 20.0])
def test_beats_stay_within_the_paper_and_off_one_another(width_mm: float, gain: float) -> None:
    options = DisplayOptions(gain_mm_mv=gain)
    (sheet,) = beat_sheets((of(STANDARD_LEADS, height_mv=2.5),), options, width_mm)
    room = max(width_mm, beat_width_mm(0.8, options))
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
        (of(("I", "V9")), of(("I", "II"), height_mv=2.0)), DisplayOptions(speed_mm_s=50.0), 110.0
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
    (sheet,) = beat_sheets((Beats({}, FS),), DisplayOptions(), 100.0)
    assert sheet.pieces == ()


@pytest.mark.parametrize("width_mm", [60.0, 110.0, 300.0])
def test_chest_leads_at_half_the_gain_have_a_pulse_of_their_own(width_mm: float) -> None:
    options = DisplayOptions(half_precordials=True)
    (sheet,) = beat_sheets((of(STANDARD_LEADS),), options, width_mm)
    gains = {piece.lead: piece.gain_mm_mv for piece in sheet.pieces}
    assert gains == {lead: 5.0 if lead.startswith("V") else 10.0 for lead in STANDARD_LEADS}
    for piece in sheet.pieces:
        beside = {p.gain_mm_mv for p in sheet.pulses if p.baseline_mm == piece.baseline_mm}
        assert piece.gain_mm_mv in beside


@pytest.mark.parametrize("speed", [12.5, 25.0, 50.0, 100.0])
@pytest.mark.parametrize("half", [True, False])
def test_pulses_end_before_the_beats_begin(speed: float, half: bool) -> None:
    options = DisplayOptions(speed_mm_s=speed, half_precordials=half)
    (sheet,) = beat_sheets((of(STANDARD_LEADS),), options, 300.0)
    begin = min(piece.x_mm for piece in sheet.pieces)
    assert all(pulse.x_mm + 0.2 * speed < begin for pulse in sheet.pulses)

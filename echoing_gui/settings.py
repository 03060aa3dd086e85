"""What the user chose, kept between sessions: one JSON file that holds only what differs.

The window's place is Qt's business and lies in QSettings; everything a person might want to read,
copy or mend lies here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from echoing_gui.files import atomic_write
from echoing_gui.i18n import SYSTEM, languages
from echoing_gui.state import (
    GAINS_MM_MV,
    PRIVATE_AFTER_MIN,
    SPEEDS_MM_S,
    DisplayOptions,
    Layout,
    LeadOrder,
    ThemeChoice,
)
from model_core.display_filters import HIGH_PASS_HZ, LOW_PASS_HZ, MAINS_HZ
from model_core.leads import STANDARD_LEADS

_MOST_TABLES = 100
_LEAST_PX_PER_MM, _MOST_PX_PER_MM = 1.0, 40.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the user measured on one screen.

    Attributes
    ----------
    device_px_per_mm
        Device pixels in one millimetre.
    date
        Day of the measurement, ISO 8601.
    """

    device_px_per_mm: float
    date: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is remembered.

    Attributes
    ----------
    options
        How to draw; the zoom is not remembered.
    calibrations
        By screen, as named by `screen_key`.
    tables
        What was stated about tables of samples, as `layout_to_dict` writes it, by the fingerprint
        of their make; nothing of any content.
    """

    options: DisplayOptions = field(default_factory=DisplayOptions)
    calibrations: dict[str, Calibration] = field(default_factory=dict[str, Calibration])
    tables: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


def screen_key(
    name: str, manufacturer: str, model: str, serial: str, width_px: int, height_px: int
) -> str:
    """Name a screen so that another one, or another resolution, is not taken for it.

    Examples
    --------
    >>> screen_key("DP-1", "DEL", "U2720Q", "8F2K", 3840, 2160)
    'DEL U2720Q 8F2K 3840x2160'
    >>> screen_key("DP-1", "", "", "", 1920, 1080)
    'DP-1 1920x1080'
    """
    named = " ".join(part for part in (manufacturer, model, serial) if part)
    return f"{named or name} {width_px}x{height_px}"


def load_settings(path: Path) -> Settings:
    """Read the settings; what is missing or makes no sense takes its default."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Settings()
    if not isinstance(found, dict):
        return Settings()
    values = cast("dict[str, Any]", found)
    chosen: dict[str, Any] = {
        name: choices[values[name]]
        for name, choices in _choices().items()
        if isinstance(values.get(name), str | int | float) and values[name] in choices
    }
    options = DisplayOptions(**chosen)
    screens: Any = values.get("screens")
    calibrations: dict[str, Calibration] = {}
    if isinstance(screens, dict):
        for key, entry in cast("dict[str, Any]", screens).items():
            calibration = _calibration(entry)
            if calibration is not None:
                calibrations[key] = calibration
    stated: Any = values.get("tables")
    tables: dict[str, dict[str, Any]] = {}
    if isinstance(stated, dict):
        entries = cast("dict[str, Any]", stated).items()
        tables = {key: entry for key, entry in entries if isinstance(entry, dict)}
    return Settings(options, calibrations, tables)


def save_settings(path: Path, settings: Settings) -> None:
    """Write what differs from the defaults, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written; the old one is then still there.
    """
    options, defaults = settings.options, DisplayOptions()
    values: dict[str, Any] = {}
    for name, choices in _choices().items():
        chosen = getattr(options, name)
        if chosen != getattr(defaults, name):
            values[name] = next(written for written, choice in choices.items() if choice == chosen)
    if settings.calibrations:
        values["screens"] = {
            key: {"device_px_per_mm": entry.device_px_per_mm, "date": entry.date}
            for key, entry in settings.calibrations.items()
        }
    if settings.tables:
        values["tables"] = settings.tables
    atomic_write(path, json.dumps(values, indent=1).encode())


def with_calibration(settings: Settings, key: str, calibration: Calibration) -> Settings:
    """Add or replace one screen's calibration."""
    return replace(settings, calibrations={**settings.calibrations, key: calibration})


def with_table(settings: Settings, fingerprint: str, layout: dict[str, Any]) -> Settings:
    """Remember what was stated about tables of one make; the oldest of too many is forgotten."""
    tables = {key: entry for key, entry in settings.tables.items() if key != fingerprint}
    kept = list(tables.items())[1 - _MOST_TABLES :]
    return replace(settings, tables={**dict(kept), fingerprint: layout})


def _choices() -> dict[str, dict[Any, Any]]:
    """Display options that are remembered: what may be written for each, and what it means."""
    return {
        "layout": {item.value: item for item in Layout},
        "order": {item.value: item for item in LeadOrder},
        "rhythm_lead": {name: name for name in STANDARD_LEADS},
        "speed_mm_s": {value: value for value in SPEEDS_MM_S},
        "gain_mm_mv": {value: value for value in GAINS_MM_MV},
        "half_precordials": {True: True, False: False},
        "high_pass_hz": {value: value for value in HIGH_PASS_HZ},
        "low_pass_hz": {value: value for value in LOW_PASS_HZ},
        "notch": {True: True, False: False},
        "mains_hz": {value: value for value in MAINS_HZ},
        "language": {code: code for code in (SYSTEM, *languages())},
        "show_variance": {True: True, False: False},
        "variance_underlay": {True: True, False: False},
        "read_first": {True: True, False: False},
        "private": {True: True, False: False},
        "private_after_min": {value: value for value in PRIVATE_AFTER_MIN},
        "show_dots": {True: True, False: False},
        "theme": {item.value: item for item in ThemeChoice},
    }


def _calibration(entry: object) -> Calibration | None:
    if not isinstance(entry, dict):
        return None
    values = cast("dict[str, Any]", entry)
    px_per_mm, date = values.get("device_px_per_mm"), values.get("date")
    if not isinstance(px_per_mm, int | float) or not isinstance(date, str) or not date:
        return None
    if not _LEAST_PX_PER_MM <= px_per_mm <= _MOST_PX_PER_MM:
        return None
    return Calibration(float(px_per_mm), date)

"""The echo measures and findings that the program knows, with units and plausible ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model_core.wording import say


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that an echocardiography report holds.

    Attributes
    ----------
    key
        Identifier in files and model packages.
    label, name
        Abbreviation and full name, as shown.
    unit
        Unit of every value of this measure.
    axis
        Fixed clinical axis on screen, low and high end, in `unit`.
    ticks
        Axis marks, in `unit`.
    plausible
        Values outside are never reported, in `unit`.
    step
        Values are shown rounded to a multiple of this, in `unit`: not finer than two echo
        readers agree.
    reference
        Range of healthy adults by sex (``female``, ``male``), in `unit`; see `REFERENCE_SOURCE`.
    """

    key: str
    label: str
    name: str
    unit: str
    axis: tuple[float, float]
    ticks: tuple[float, ...]
    plausible: tuple[float, float]
    step: float
    reference: Mapping[str, tuple[float, float]]

    def text(self, value: float) -> str:
        """Value rounded to the step shown, without unit.

        Examples
        --------
        >>> MEASURES["lvef"].text(54.6), MEASURES["lvedv"].text(121.9)
        ('55', '120')
        """
        return f"{round(value / self.step) * self.step:.0f}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A yes / no statement about the echo, reported as a probability.

    Attributes
    ----------
    key
        Identifier in files and model packages.
    label
        As shown.
    measure_key, below
        The finding holds if the measure is lower than `below`, in the measure's unit.
    """

    key: str
    label: str
    measure_key: str
    below: float


# Of the reference ranges, biplane volumes.
REFERENCE_SOURCE = "ASE/EACVI 2015, Lang et al., J Am Soc Echocardiogr 2015;28:1-39"

MEASURES: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        Measure(
            key="lvef",
            label="LVEF",
            name=say("Left ventricular ejection fraction"),
            unit="%",
            axis=(10.0, 80.0),
            ticks=(20.0, 30.0, 40.0, 50.0, 60.0, 70.0),
            plausible=(5.0, 85.0),
            step=1.0,
            reference={"female": (54.0, 74.0), "male": (52.0, 72.0)},
        ),
        Measure(
            key="lvedv",
            label="LVEDV",
            name=say("Left ventricular end-diastolic volume"),
            unit="ml",
            axis=(40.0, 320.0),
            ticks=(50.0, 100.0, 150.0, 200.0, 250.0, 300.0),
            plausible=(20.0, 600.0),
            step=5.0,
            reference={"female": (46.0, 106.0), "male": (62.0, 150.0)},
        ),
        Measure(
            key="lvesv",
            label="LVESV",
            name=say("Left ventricular end-systolic volume"),
            unit="ml",
            axis=(10.0, 250.0),
            ticks=(50.0, 100.0, 150.0, 200.0),
            plausible=(5.0, 500.0),
            step=5.0,
            reference={"female": (14.0, 42.0), "male": (21.0, 61.0)},
        ),
    )
}

FINDINGS: dict[str, Finding] = {
    finding.key: finding
    for finding in (
        Finding(key="lvef_below_40", label="LVEF < 40 %", measure_key="lvef", below=40.0),
    )
}

"""The echo measures that the simulation produces, as arrays over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class EchoMeasures:
    """Echo measures of n patients, as a reader would report them.

    ``lvef_pct == 100 * (lvedv_ml - lvesv_ml) / lvedv_ml`` up to float32 rounding.

    Attributes
    ----------
    lvef_pct : (n,) float32
        Left ventricular ejection fraction, percent.
    lvedv_ml, lvesv_ml : (n,) float32
        Left ventricular end-diastolic and end-systolic volume, ml.
    wall_mm : (n,) float32
        Left ventricular wall thickness at end-diastole, mm.
    la_volume_ml : (n,) float32
        Maximal left atrial volume, ml.
    """

    lvef_pct: FloatArray
    lvedv_ml: FloatArray
    lvesv_ml: FloatArray
    wall_mm: FloatArray
    la_volume_ml: FloatArray

    def __len__(self) -> int:
        return len(self.lvef_pct)

    def take(self, index: NDArray[np.intp] | Sequence[int] | slice) -> EchoMeasures:
        """Return the measures of the patients at ``index`` (indices, mask or slice)."""
        return EchoMeasures(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def concatenate(parts: Sequence[EchoMeasures]) -> EchoMeasures:
    """Join the measures of several groups of patients in the order given."""
    return EchoMeasures(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(EchoMeasures)
        }
    )


def echo_from_lvef_and_lvedv(
    lvef_pct: NDArray[np.floating],
    lvedv_ml: NDArray[np.floating],
    wall_mm: NDArray[np.floating],
    la_volume_ml: NDArray[np.floating],
) -> EchoMeasures:
    """Build consistent measures: LVESV follows from LVEF and LVEDV.

    Every input has shape (n,); LVEF is limited to 8-80 %, LVEDV to 35-450 ml, the wall to
    5-22 mm and the left atrium to 12-250 ml, which is what an echo laboratory meets.
    """
    lvef = np.clip(lvef_pct, 8.0, 80.0).astype(np.float32)
    lvedv = np.clip(lvedv_ml, 35.0, 450.0).astype(np.float32)
    return EchoMeasures(
        lvef_pct=lvef,
        lvedv_ml=lvedv,
        lvesv_ml=(lvedv * (1 - lvef / 100)).astype(np.float32),
        wall_mm=np.clip(wall_mm, 5.0, 22.0).astype(np.float32),
        la_volume_ml=np.clip(la_volume_ml, 12.0, 250.0).astype(np.float32),
    )

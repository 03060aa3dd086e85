"""Lead vectors of the torso: how the heart's dipole shows in the leads."""

from __future__ import annotations

import numpy as np

INDEPENDENT_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
# Dower, Machado, Osborne. Clin Cardiol 1980;3:87-95. X points to the left, Y to the feet, Z to the
# back.
LEAD_VECTORS = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""(8, 3): rows as in `INDEPENDENT_LEADS`."""

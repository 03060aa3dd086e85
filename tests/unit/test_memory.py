import subprocess
import sys

import pytest

# Signals of half a megabyte, freed below one that stays. The first one freed makes glibc move all
# others onto its heap, unless it has been told better.
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from echoing_gui.memory import return_freed_memory

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

if sys.argv[1] == "told":
    return_freed_memory()
before_mb = resident_mb()
first = np.ones(75_000)
del first
many = [np.ones(62_500) for _ in range(200)]
last = many[-1]
del many
print(resident_mb() - before_mb)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc alone")
def test_memory_of_signals_goes_back_to_the_system():
    def left_mb(how):
        run = [sys.executable, "-c", PROGRAM, how]
        return float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)

    assert left_mb("told") < 10
    # What it is for: without it nearly all of the 100 MB stay.
    assert left_mb("untold") > 50

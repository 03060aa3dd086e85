"""The simulated cohort: virtual patients, their ECGs and echoes, and outcomes for real ECGs.

See docs/simulated-cohort.md for what is simulated, from which numbers, and what is not claimed.
"""

from training.simulation.demo import write_demo_recording
from training.simulation.ecg import simulate_clean_ecg, simulate_ecg
from training.simulation.echo import cavity, render_clips
from training.simulation.findings import (
    MEASURED,
    EcgFindings,
    findings_from_ptbxl,
    findings_of_patients,
)
from training.simulation.measures import EchoMeasures, concatenate
from training.simulation.noise import add_noise
from training.simulation.outcomes import draw_echo, draw_outcomes, oracle
from training.simulation.patients import Patients, sample_patients
from training.simulation.reports import ecg_sentence, prompts, report_sentences

__all__ = [
    "MEASURED",
    "EcgFindings",
    "EchoMeasures",
    "Patients",
    "add_noise",
    "cavity",
    "concatenate",
    "draw_echo",
    "draw_outcomes",
    "ecg_sentence",
    "findings_from_ptbxl",
    "findings_of_patients",
    "oracle",
    "prompts",
    "render_clips",
    "report_sentences",
    "sample_patients",
    "simulate_clean_ecg",
    "simulate_ecg",
    "write_demo_recording",
]

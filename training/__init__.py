"""Training of model packages: simulated cohort, teacher, distillation, calibration, evaluation."""

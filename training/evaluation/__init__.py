"""What estimates are worth: figures with intervals, baselines, tests of uncertainty.

`core.evaluate` works on arrays alone and knows nothing of where the ECGs come from.
"""

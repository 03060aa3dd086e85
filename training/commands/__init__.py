"""The commands of `echoing-train`, one module each.

A module's ``register`` adds its parser and sets ``run``, a function of the parsed options that
returns the exit code. Slow packages are imported inside that function: --help does not wait.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

from training.commands import (
    cohort_from_archives,
    curves,
    embed_echo,
    fewshot,
    import_published,
    ingest,
    pipeline,
    zeroshot,
)

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse names no public type

REGISTER: tuple[Callable[[Commands], None], ...] = (
    pipeline.register,
    ingest.register,
    embed_echo.register,
    zeroshot.register,
    fewshot.register,
    import_published.register,
    cohort_from_archives.register,
    curves.register,
)

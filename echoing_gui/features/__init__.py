"""What the desk offers beyond opening and estimating: one module each, one line here.

A feature is a module, or a package, with `install(desk)`. It adds its actions, panels and views to
the window, keeps its fields of the state through `Controller.change`, and knows no other feature.
"""

from __future__ import annotations

from collections.abc import Callable

from echoing_gui.desk import Desk
from echoing_gui.features import (
    about_result,
    audit_check,
    bench,
    exporting,
    filters,
    keys,
    measuring,
    model_packages,
    preferences,
    privacy,
    reading_first,
    serial,
    start,
    work_list,
)

FEATURES: tuple[Callable[[Desk], None], ...] = (
    bench.install,
    exporting.install,
    filters.install,
    measuring.install,
    preferences.install,
    reading_first.install,
    serial.install,
    work_list.install,
    start.install,
    about_result.install,
    model_packages.install,
    privacy.install,
    audit_check.install,
    keys.install,
)

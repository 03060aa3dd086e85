"""PySide6 6.12.0 on Python 3.11 drops a reference to None on every call of a void method.

The process dies after some 16,000 such calls, about 140 repaints; no short test of the program
notices. From Python 3.12 on None is immortal and its count never moves.
"""

from __future__ import annotations

import sys

from PySide6.QtWidgets import QWidget

N_CALLS = 1000


def test_void_calls_leave_the_reference_count_of_none_alone(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    update = widget.update
    update()
    before = sys.getrefcount(None)
    for _ in range(N_CALLS):
        update()
    after = sys.getrefcount(None)
    # A faulty binding loses one reference a call; the interpreter's own traffic is a handful.
    assert abs(after - before) < N_CALLS // 20

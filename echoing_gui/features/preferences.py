"""Preferences: everything about the picture and the window that is remembered, in one dialog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QLocale, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from echoing_gui.actions import Action
from echoing_gui.desk import Desk
from echoing_gui.i18n import SYSTEM, languages, tr
from echoing_gui.state import (
    GAINS_MM_MV,
    PRIVATE_AFTER_MIN,
    SPEEDS_MM_S,
    AppState,
    DisplayOptions,
    Layout,
    LeadOrder,
    ThemeChoice,
)
from echoing_gui.view_models.texts import key_of
from model_core.display_filters import HIGH_PASS_HZ, LOW_PASS_HZ, MAINS_HZ
from model_core.leads import STANDARD_LEADS

ACTIONS = (
    Action(
        "preferences", "&Window", "&Preferences…", ("Ctrl+,",),
        "Choose how ECGs are drawn and how the window looks.", group="preferences",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preference:
    """One row of the dialog.

    Attributes
    ----------
    field
        Of the display options.
    label
        With the letter to press behind an ampersand.
    choices
        Gives values and texts; yes or no without.
    action
        Does the same by its key; empty without one.
    """

    field: str
    label: str
    choices: Callable[[], list[tuple[Any, str]]] | None = None
    action: str = ""


def install(desk: Desk) -> None:
    """Offer the preferences."""
    window, controller = desk.window, desk.controller

    def show() -> None:
        dialog = PreferencesDialog(controller.state, window)
        dialog.chosen.connect(
            # What was changed by keys while the dialog was open stays.
            lambda changes: controller.set_options(replace(controller.state.options, **changes))
        )
        dialog.keysRequested.connect(lambda: (dialog.accept(), window.trigger("change_keys")))
        dialog.open()

    window.add_actions(ACTIONS, {"preferences": show})


def _numbers(values: tuple[float, ...], unit: str) -> Callable[[], list[tuple[Any, str]]]:
    return lambda: [(value, f"{value:g} {unit}" if value else tr("None")) for value in values]


def _language_names() -> list[tuple[Any, str]]:
    names = {code: QLocale(code).nativeLanguageName() for code in languages()} | {"en": "English"}
    named = [(code, name[:1].upper() + name[1:]) for code, name in names.items()]
    return [(SYSTEM, tr("As the system")), *named]


def _layouts() -> list[tuple[Any, str]]:
    names = {
        Layout.GRID: tr("3x4 and one rhythm strip"),
        Layout.GRID_3: tr("3x4 and three rhythm strips"),
        Layout.SIX: "6x2",
        Layout.FOUR: "4x3",
        Layout.ROWS: tr("12x1, the whole recording"),
    }
    return list(names.items())


def _orders() -> list[tuple[Any, str]]:
    return [
        (LeadOrder.STANDARD, "I, II, III, aVR, aVL, aVF"),
        (LeadOrder.CABRERA, "Cabrera: aVL, I, -aVR, II, aVF, III"),
    ]


def _themes() -> list[tuple[Any, str]]:
    return [
        (ThemeChoice.SYSTEM, tr("As the system")),
        (ThemeChoice.LIGHT, tr("Light")),
        (ThemeChoice.DARK, tr("Dark; the paper stays light")),
    ]


def _idle() -> list[tuple[Any, str]]:
    return [
        (value, tr("After {n} minutes", n=value) if value else tr("Never"))
        for value in PRIVATE_AFTER_MIN
    ]


PREFERENCES: tuple[tuple[str, tuple[Preference, ...]], ...] = (
    (
        "ECG",
        (
            Preference("layout", "&Layout", _layouts),
            Preference("order", "&Order of limb leads", _orders),
            Preference(
                "rhythm_lead", "&Rhythm lead", lambda: [(lead, lead) for lead in STANDARD_LEADS]
            ),
            Preference("speed_mm_s", "Paper &speed", _numbers(SPEEDS_MM_S, "mm/s")),
            Preference("gain_mm_mv", "Display &gain", _numbers(GAINS_MM_MV, "mm/mV")),
            Preference("half_precordials", "&Chest leads at half the gain"),
            Preference("show_variance", "Segment &variance strips"),
            Preference("variance_underlay", "Tint the &paper behind the traces too"),
        ),
    ),
    (
        "Filters of the traces, never of what the model sees",
        (
            Preference("high_pass_hz", "&High-pass", _numbers(HIGH_PASS_HZ, "Hz")),
            Preference("low_pass_hz", "Lo&w-pass", _numbers(LOW_PASS_HZ, "Hz")),
            Preference("notch", "&Notch at the mains frequency"),
            Preference("mains_hz", "&Mains frequency", _numbers(MAINS_HZ, "Hz")),
        ),
    ),
    (
        "Window",
        (
            Preference("theme", "&Colours", _themes),
            Preference("language", "L&anguage, from the next start on", _language_names),
            Preference("private", "Hide names, &dates and file names", action="privacy"),
            Preference("private_after_min", "Hide them when &idle", _idle),
            Preference("show_dots", "Show each estimate as &twenty likely values, too"),
            Preference("read_first", "Read &first: cover the estimate until I reveal it"),
        ),
    ),
)


class PreferencesDialog(QDialog):
    """A form of all preferences.

    Parameters
    ----------
    state
        With the options and keys in force.
    parent
        The window.
    """

    chosen = Signal(object)
    keysRequested = Signal()

    def __init__(self, state: AppState, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Preferences"))
        self._state = state
        self._fields: dict[str, QComboBox | QCheckBox] = {}
        layout = QVBoxLayout(self)
        # Side by side: one over the other would be higher than a small screen.
        halves = (QVBoxLayout(), QVBoxLayout())
        beside = QHBoxLayout()
        for half in halves:
            beside.addLayout(half, 1)
        layout.addLayout(beside)
        for number, (title, preferences) in enumerate(PREFERENCES):
            group = QGroupBox(tr(title))
            form = QFormLayout(group)
            for preference in preferences:
                self._add_row(form, preference)
            halves[min(number, 1)].addWidget(group)
        for half in halves:
            half.addStretch()
        note = QLabel(
            tr(
                "Choices are remembered for you on this computer. The zoom is not: an ECG opens to "
                "scale."
            ),
            wordWrap=True,
        )
        note.setObjectName("muted")
        layout.addWidget(note)
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Ok | standard.Cancel | standard.RestoreDefaults)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        keys = buttons.addButton(tr("&Keys…"), QDialogButtonBox.ButtonRole.ResetRole)
        keys.clicked.connect(self.keysRequested)
        buttons.button(standard.RestoreDefaults).clicked.connect(
            lambda: self._show(DisplayOptions())
        )
        layout.addWidget(buttons)
        self._show(state.options)

    def accept(self) -> None:
        """Report what was changed."""
        now = {name: self._value(name) for name in self._fields}
        changes = {
            name: value
            for name, value in now.items()
            if value != getattr(self._state.options, name)
        }
        if changes:
            self.chosen.emit(changes)
        super().accept()

    def _add_row(self, form: QFormLayout, preference: Preference) -> None:
        if preference.choices is None:
            box = QCheckBox(tr(preference.label) + key_of(self._state, preference.action))
            form.addRow(box)
            self._fields[preference.field] = box
            return
        combo = QComboBox()
        for value, text in preference.choices():
            combo.addItem(text, value)
        form.addRow(tr(preference.label), combo)
        self._fields[preference.field] = combo

    def _show(self, options: DisplayOptions) -> None:
        for name, field in self._fields.items():
            value = getattr(options, name)
            if isinstance(field, QCheckBox):
                field.setChecked(value)
            else:
                values = [field.itemData(row) for row in range(field.count())]
                field.setCurrentIndex(values.index(value))

    def _value(self, name: str) -> Any:  # noqa: ANN401 - each option has a type of its own
        field = self._fields[name]
        return field.isChecked() if isinstance(field, QCheckBox) else field.currentData()

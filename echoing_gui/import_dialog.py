"""Asks what a table of samples does not say, and shows at once what follows from the answers."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from echoing_gui import theme
from echoing_gui.file_dialogs import cover_names
from echoing_gui.i18n import tr
from echoing_gui.panels.traces import EcgView
from echoing_gui.state import AppState
from echoing_gui.view_models import table_form
from echoing_gui.view_models.table_form import TableForm
from model_core.io import DELIMITERS, UNITS, TableLayout, TableProposal
from model_core.types import Recording

PREVIEW_S = 10.0
_WAIT_MS = 250


class _RateBox(QDoubleSpinBox):
    """A rate in Hz; 0 stands for one that is not stated."""

    def __init__(self, rate_hz: float) -> None:
        super().__init__(decimals=4, maximum=4000.0, suffix=" Hz")
        self.setSpecialValueText(tr("not stated"))
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.setValue(rate_hz)

    def textFromValue(self, value: float) -> str:
        """Write no more digits than there are."""
        return f"{value:.4f}".rstrip("0").rstrip(".")


class ImportDialog(QDialog):
    """Fields for rate, unit, orientation and lead names, the first rows, and the trace they give.

    Parameters
    ----------
    file_name
        As shown.
    proposal
        What the file suggests.
    remembered
        What was stated for a file of the same make, if any was.
    state
        Scale of the screen and colours of the window.
    parent
        The window.
    """

    previewRequested = Signal(object)
    stated = Signal(object)

    def __init__(
        self,
        file_name: str,
        proposal: TableProposal,
        remembered: TableLayout | None,
        state: AppState,
        parent: QWidget | None,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Import table"))
        self._proposal, self._remembered = proposal, remembered
        # Nothing of the recording that is open.
        self._state = AppState(options=state.options, screen=state.screen)
        self._asked: TableLayout | None = None
        self._timer = QTimer(self, singleShot=True, interval=_WAIT_MS)
        self._timer.timeout.connect(self._ask)
        self._make_fields(table_form.form_of(proposal, remembered))
        self._make_rows()
        self._view = EcgView()
        self._view.setAccessibleName(tr("Preview of the first ten seconds, on ECG paper"))
        self._verdict = QLabel(wordWrap=True)
        self._verdict.setTextFormat(Qt.TextFormat.PlainText)
        self._verdict.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        standard = QDialogButtonBox.StandardButton
        self._buttons = QDialogButtonBox(standard.Open | standard.Cancel)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._arrange(file_name)
        cover_names(self)  # first rows may hold names too
        for field in (self._rate, self._skip):
            field.valueChanged.connect(self._on_change)
        for box in (self._unit, self._orientation, self._delimiter, self._variable):
            box.currentIndexChanged.connect(self._on_change)
        self._comma.toggled.connect(self._on_change)
        self._names.textChanged.connect(self._on_change)
        self._on_change()

    def form(self) -> TableForm:
        """Take what the fields hold."""
        return TableForm(
            rate_hz=self._rate.value(),
            unit=self._unit.currentData(),
            lead_names=self._names.text(),
            leads_in=self._orientation.currentData(),
            skip_rows=self._skip.value(),
            delimiter=self._delimiter.currentData(),
            decimal_comma=self._comma.isChecked(),
            variable=self._variable.currentData() or "",
        )

    def show_preview(self, layout: TableLayout, found: Recording | str) -> None:
        """Show the trace that a layout gives, or why it gives none; late answers are dropped."""
        if layout != self._asked:
            return
        recording = None if isinstance(found, str) else found
        n_samples = self._proposal.n_samples
        if isinstance(found, Recording) and layout.leads_in != self._proposal.leads_in:
            n_samples = self._proposal.n_leads
        self._show(
            recording, found if isinstance(found, str) else table_form.read_text(found, n_samples)
        )

    def accept(self) -> None:
        """Report the layout, once its preview has been seen."""
        layout, _ = table_form.layout_of(self.form())
        if layout is not None and self._open.isEnabled():
            self.stated.emit(layout)
            super().accept()

    def _make_fields(self, form: TableForm) -> None:
        self._rate = _RateBox(form.rate_hz)
        self._unit = _choice([(tr("not stated"), ""), *((unit, unit) for unit in UNITS)], form.unit)
        self._orientation = _choice(
            [(tr("a column"), "columns"), (tr("a row"), "rows")], form.leads_in
        )
        self._names = QLineEdit(form.lead_names)
        self._names.setPlaceholderText(tr("For instance -, I, II, V1: a dash leaves one out"))
        self._names.setCursorPosition(0)
        self._standard = QPushButton(tr("&Standard twelve"))
        self._standard.setToolTip(tr("Name twelve leads in the usual order"))
        self._standard.setAutoDefault(False)
        self._standard.clicked.connect(lambda: self._names.setText(table_form.STANDARD_TEXT))
        self._skip = QSpinBox(maximum=100_000)
        self._skip.setValue(form.skip_rows)
        self._delimiter = _choice(
            [(tr(text), mark) for mark, text in DELIMITERS.items()], form.delimiter
        )
        self._comma = QCheckBox(tr("&Decimal comma, as in 0,5"))
        self._comma.setChecked(form.decimal_comma)
        self._variable = _choice([(name, name) for name in self._proposal.variables], form.variable)
        # Of these, some belong to some kinds of file only.
        text = "text table"
        for field, kind in (
            (self._skip, text),
            (self._delimiter, text),
            (self._comma, text),
            (self._variable, "MAT"),
        ):
            field.setParent(self)
            field.setVisible(self._proposal.kind == kind)
        self._why = {key: _muted() for key in ("rate", "unit", "leads")}

    def _make_rows(self) -> None:
        self._rows = QTableWidget()
        self._rows.setAccessibleName(tr("First rows of the file"))
        self._rows.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._rows.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._rows.setTabKeyNavigation(False)
        self._rows.setWordWrap(False)
        self._rows.verticalHeader().setDefaultSectionSize(round(1.4 * self.fontMetrics().height()))

    def _arrange(self, file_name: str) -> None:
        intro = QLabel(
            tr(
                "{file}: {size}. It does not say for certain what its numbers are. Check every "
                "field against the source of the file: a wrong rate or unit gives a wrong ECG.",
                file=file_name,
                size=table_form.size_text(self._proposal),
            ),
            wordWrap=True,
        )
        intro.setTextFormat(Qt.TextFormat.PlainText)
        form = QFormLayout()
        _add_row(form, tr("Sampling &rate"), self._rate, self._why["rate"])
        _add_row(form, tr("&Unit of the numbers"), self._unit, self._why["unit"])
        _add_row(form, tr("Each &lead is"), self._orientation)
        _add_row(form, tr("Lead &names"), self._names, self._standard)
        form.addRow("", self._why["leads"])
        if self._proposal.kind == "text table":
            _add_row(form, tr("Lines &above the numbers"), self._skip)
            _add_row(form, tr("&Between cells"), self._delimiter, self._comma)
        elif self._proposal.kind == "MAT":
            _add_row(form, tr("&Matrix"), self._variable)
        above = QWidget()
        column = QVBoxLayout(above)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addWidget(QLabel(tr("First rows of the file")))
        column.addWidget(self._rows, 1)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(above)
        splitter.addWidget(self._view)
        splitter.setStretchFactor(1, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(intro)
        layout.addWidget(splitter, 1)
        layout.addWidget(self._verdict)
        layout.addWidget(self._buttons)
        metrics = self.fontMetrics()
        self._rows.setMinimumHeight(metrics.height() * 5)
        self._view.setMinimumHeight(metrics.height() * 12)
        splitter.setSizes([1, metrics.height() * 35])
        wanted = QSize(metrics.averageCharWidth() * 155, metrics.height() * 60)
        self.resize(wanted.boundedTo(self.screen().availableSize() * 0.92))
        self._rate.setFocus()

    @property
    def _open(self) -> QPushButton:
        return self._buttons.button(QDialogButtonBox.StandardButton.Open)

    def _on_change(self) -> None:
        """Show what follows at once, and ask for the trace once the user pauses."""
        form = self.form()
        for key, text in table_form.reasons(self._proposal, self._remembered, form).items():
            self._why[key].setText(text)
        self._fill_rows(form)
        layout, problem = table_form.layout_of(form)
        self._asked = None
        self._show(None, problem or tr("Reading the first seconds …"))
        if layout is not None:
            self._timer.start()
        else:
            self._timer.stop()

    def _ask(self) -> None:
        self._asked, _ = table_form.layout_of(self.form())
        if self._asked is not None:
            self.previewRequested.emit(self._asked)

    def _show(self, recording: Recording | None, verdict: str) -> None:
        old, self._state = self._state, replace(self._state, recording=recording)
        self._view.show_state(old, self._state)
        self._open.setEnabled(recording is not None)
        self._verdict.setText(verdict)
        failed = recording is None and self._asked is not None
        theme.rename(self._verdict, "refusal" if failed else "")
        if self._asked is not None:
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, verdict))

    def _fill_rows(self, form: TableForm) -> None:
        shown = table_form.first_rows(self._proposal, form)
        self._rows.setRowCount(len(shown.cells))
        self._rows.setColumnCount(max(map(len, shown.cells), default=0))
        self._rows.setHorizontalHeaderLabels(shown.columns)
        self._rows.setVerticalHeaderLabels(shown.rows[: len(shown.cells)])
        muted = QColor(theme.colours_for(self._state.options.theme).muted)
        for row, cells in enumerate(shown.cells):
            for column in range(self._rows.columnCount()):
                item = QTableWidgetItem(cells[column] if column < len(cells) else "")
                if row < shown.n_skipped:
                    item.setForeground(muted)
                    item.setToolTip(tr("Above the numbers: left out"))
                self._rows.setItem(row, column, item)
        self._rows.resizeColumnsToContents()


def _choice(entries: list[tuple[str, str]], chosen: str) -> QComboBox:
    box = QComboBox()
    for text, value in entries:
        box.addItem(text, value)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    return box


def _muted() -> QLabel:
    label = QLabel(wordWrap=True)
    label.setObjectName("muted")
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def _add_row(form: QFormLayout, label: str, field: QWidget, other: QWidget | None = None) -> None:
    """Add a field, and what belongs to it, on one line; the label's letter leads to the field."""
    line = QHBoxLayout()
    wide = isinstance(field, QLineEdit)
    line.addWidget(field, int(wide))
    if other is not None:
        line.addWidget(other, int(not wide))
    elif not wide:
        line.addStretch()
    form.addRow(label, line)
    shown = form.labelForField(line)
    if isinstance(shown, QLabel):
        shown.setBuddy(field)
    field.setAccessibleName(label.replace("&", ""))

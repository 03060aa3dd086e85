"""Mouse and keys on the ECG: take hold of calipers, move them, drag notes."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent, QPainter

from echoing_gui.features.measuring import calipers, drawing
from echoing_gui.features.measuring.marker import Marker
from echoing_gui.features.measuring.measured import measured_on
from echoing_gui.graphics.paper import Camera
from echoing_gui.graphics.pointer import Pointed, from_px, pointed
from echoing_gui.i18n import tr
from echoing_gui.panels.traces import EcgView
from echoing_gui.state_marks import Caliper, CaliperKind, Note
from echoing_gui.view_models.sheet import Sheet, TracePiece

# How long a caliper is that nobody has drawn out yet, and a note that was not dragged.
_FIRST_SPAN_S = 0.2
_FIRST_NOTE_S = 1.0
_LEAST_NOTE_S = 0.02
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, 1),
    Qt.Key.Key_Down: (0, -1),
}


@dataclass(slots=True)
class _Held:
    """What the pointer moves: a caliper's end, all of it (`end` None), or the end of a note."""

    piece: TracePiece
    index: int | None = None
    end: int | None = None
    start: Caliper | None = None
    from_s: float = 0.0
    from_mv: float = 0.0


class MeasuringTool:
    """Answers mouse and keys on the ECG; what is being dragged is drawn but not yet a change."""

    def __init__(self, view: EcgView, marker: Marker) -> None:
        self._view, self._marker = view, marker
        self._held: _Held | None = None
        self._pointer: QPointF | None = None
        self._caliper: Caliper | None = None
        self._note: Note | None = None
        # A new caliper's second end follows the pointer without a button held.
        self._follows = False

    def paint(self, painter: QPainter, sheet: Sheet, camera: Camera) -> None:
        """Draw wave marks, notes and calipers."""
        now, recording = self._marker.now, self._marker.recording
        if now.show_waves and recording is not None:
            annotations = recording.metadata.annotations
            drawing.paint_file_marks(painter, annotations, sheet, camera)
            measured = measured_on(now, recording)
            computed = measured is not None and measured.delineation.n_beats > 0
            if measured is not None:
                drawing.paint_waves(painter, measured, sheet, camera)
            drawing.paint_sources(painter, camera, computed=computed, from_file=bool(annotations))
        for note in (*now.marks.notes, *([self._note] if self._note else [])):
            drawing.paint_note(painter, note, sheet, camera)
        held = self._held
        for number, caliper in enumerate(now.marks.calipers):
            moving = held is not None and held.index == number and self._caliper is not None
            drawing.paint_caliper(
                painter,
                self._caliper if moving and self._caliper is not None else caliper,
                number,
                now.end if number == now.chosen else None,
                sheet,
                camera,
            )
        if self._follows and self._caliper is not None:
            number = len(now.marks.calipers)
            drawing.paint_caliper(painter, self._caliper, number, 1, sheet, camera)

    def create(self, kind: CaliperKind) -> None:
        """Begin a caliper at the pointer, where its second end follows; else in the middle."""
        self.finish()
        recording, at = self._marker.recording, self._place()
        if recording is None or at is None:
            return
        by_pointer, snap = self._is_pointing(), self._marker.now.snap
        caliper = Caliper(kind, at.piece.lead, (0.0, 0.0), (0.0, 0.0))
        half_s = 0.0 if by_pointer else _FIRST_SPAN_S / 2
        # Both ends where they can be seen.
        middle_s = min(max(at.from_s, at.piece.start_s + half_s), at.piece.end_s - half_s)
        for end, time_s in enumerate((middle_s - half_s, middle_s + half_s)):
            caliper = calipers.with_end(caliper, end, recording, time_s, at.from_mv, snap=snap)
        self._view.setFocus()
        if by_pointer:
            self._held, self._follows = _Held(at.piece, None, 1, caliper), True
            self._caliper = caliper
            self._view.refresh_overlays()
        else:
            self._marker.add_caliper(caliper)

    def note_here(self) -> Note | None:
        """Make a note on the chosen caliper's stretch; without one, on a second in the middle."""
        caliper, at = self._marker.now.caliper, self._place()
        if caliper is not None:
            return Note(caliper.lead, min(caliper.times_s), max(caliper.times_s))
        if at is None:
            return None
        start_s = max(at.from_s - _FIRST_NOTE_S / 2, at.piece.start_s)
        return Note(at.piece.lead, start_s, min(start_s + _FIRST_NOTE_S, at.piece.end_s))

    def finish(self) -> None:
        """Make what is being drawn or dragged a change."""
        held, caliper, note = self._held, self._caliper, self._note
        follows = self._follows
        self.drop()
        if note is not None and note.end_s - note.start_s >= _LEAST_NOTE_S:
            self._marker.add_note(note)
        elif caliper is not None and follows:
            self._marker.add_caliper(caliper)
        elif caliper is not None and held is not None and held.index is not None:
            end = self._marker.now.end if held.end is None else held.end
            self._marker.replace_caliper(held.index, caliper, end, tr("move caliper"))

    def drop(self) -> None:
        """Forget what is being drawn or dragged."""
        self._held = self._caliper = self._note = None
        self._follows = False
        self._view.refresh_overlays()

    def press(self, at: Pointed) -> bool:
        """Take hold of a caliper, or begin a note; leave the rest to the ECG."""
        if self._follows:
            self.finish()
            return True
        found = self._under(at)
        now = self._marker.now
        if found is not None:
            self._held = found
            end = now.end if found.end is None else found.end
            if found.index is not None and (found.index, end) != (now.chosen, now.end):
                self._marker.choose(found.index, end)
            return True
        if now.editing and at.piece is not None:
            self._held = _Held(at.piece, from_s=at.time_s)
            self._note = self._note_to(self._held, at)
            return True
        if now.chosen is not None:
            self._marker.choose(None)
        return False

    def move(self, at: Pointed, *, held: bool) -> bool:
        """Move what is held; else show by the cursor what could be taken hold of."""
        self._pointer = QPointF(at.x_px, at.y_px)
        if not held and not self._follows:
            found = self._under(at)
            if found is not None:
                whole = found.end is None
                shape = Qt.CursorShape.SizeAllCursor if whole else Qt.CursorShape.CrossCursor
                self._view.viewport().setCursor(shape)
            elif self._marker.now.editing:
                self._view.viewport().setCursor(Qt.CursorShape.IBeamCursor)
            else:
                self._view.viewport().unsetCursor()
            return False
        if self._held is not None:
            if self._note is not None:
                self._note = self._note_to(self._held, at)
            else:
                self._caliper = self._moved(self._held, at)
            self._view.refresh_overlays()
        return True

    def release(self, at: Pointed) -> None:
        """Let go: what was dragged is a change now."""
        self.move(at, held=True)
        self.finish()

    def key(self, event: QKeyEvent) -> bool:
        """Move the chosen end by samples, or choose another."""
        self._pointer = None
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Escape and (self._follows or self._marker.now.chosen is not None):
            self.drop()
            self._marker.choose(None)
            return True
        if self._follows and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, *_ARROWS):
            self.finish()
            if key not in _ARROWS:
                return True
        now, recording = self._marker.now, self._marker.recording
        if now.caliper is None or now.chosen is None or recording is None:
            return False
        if key in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            moved = self._marker.choose_next(1 if key == Qt.Key.Key_Tab else -1)
            self._show_end()
            return moved
        if key not in _ARROWS:
            return False
        samples, steps = _ARROWS[key]
        if steps and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._to_next_lead(-steps)
            return True
        if steps and now.caliper.kind is CaliperKind.TIME:
            return False
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            samples, steps = 10 * samples, 10 * steps
        moved_one = calipers.nudged(now.caliper, now.end, recording, samples, steps, snap=now.snap)
        kind = f"nudge {now.chosen} {now.end}"
        self._marker.replace_caliper(now.chosen, moved_one, now.end, tr("move caliper"), kind)
        self._show_end()
        return True

    def _to_next_lead(self, step: int) -> None:
        now, recording, sheet = self._marker.now, self._marker.recording, self._view.sheet
        if now.caliper is None or now.chosen is None or recording is None or sheet is None:
            return
        leads = list(dict.fromkeys(piece.lead for piece in sheet.pieces if piece.values_mv.size))
        at = leads.index(now.caliper.lead) + step if now.caliper.lead in leads else 0
        if 0 <= at < len(leads):
            moved = calipers.on_lead(now.caliper, recording, leads[at], snap=now.snap)
            self._marker.replace_caliper(now.chosen, moved, now.end, tr("move caliper"))
            self._show_end()

    def _show_end(self) -> None:
        now = self._marker.now
        if now.caliper is not None:
            self._view.show_time(now.caliper.times_s[now.end], now.caliper.lead)

    def _under(self, at: Pointed) -> _Held | None:
        """Find the caliper under the pointer, the last drawn first."""
        ratio = at.camera.pixel_ratio
        every = list(enumerate(self._marker.now.marks.calipers))
        for whole in (False, True):
            for number, caliper in reversed(every):
                for place in drawing.placed(caliper, number, at.sheet, at.camera):
                    end = drawing.end_at(place, at.x_px, at.y_px, ratio)
                    on_bar = drawing.is_on_bar(place, at.x_px, at.y_px, ratio)
                    if (not whole and end is not None) or (whole and on_bar):
                        where = from_px(at.sheet, at.camera, place.piece, at.x_px, at.y_px)
                        return _Held(place.piece, number, None if whole else end, caliper, *where)
        return None

    def _moved(self, held: _Held, at: Pointed) -> Caliper | None:
        recording, snap = self._marker.recording, self._marker.now.snap
        if recording is None or held.start is None:
            return None
        time_s, value_mv = from_px(at.sheet, at.camera, held.piece, at.x_px, at.y_px)
        if held.end is None:
            by_mv = 0.0 if held.start.kind is CaliperKind.TIME else value_mv - held.from_mv
            return calipers.shifted(held.start, recording, time_s - held.from_s, by_mv)
        return calipers.with_end(held.start, held.end, recording, time_s, value_mv, snap=snap)

    def _note_to(self, held: _Held, at: Pointed) -> Note:
        """Make the note from where the drag began to the pointer; with Shift, on all leads."""
        time_s, _ = from_px(at.sheet, at.camera, held.piece, at.x_px, at.y_px)
        time_s = min(max(time_s, held.piece.start_s), held.piece.end_s)
        all_leads = bool(at.modifiers & Qt.KeyboardModifier.ShiftModifier)
        start_s, end_s = sorted((held.from_s, time_s))
        return Note("" if all_leads else held.piece.lead, start_s, end_s)

    def _place(self) -> _Held | None:
        """Find the trace and place under the pointer; else, of what is seen, nearest the middle."""
        sheet = self._view.sheet
        if sheet is None:
            return None
        camera = self._view.camera(self._view.viewport().devicePixelRatioF())
        to = camera.area.center()
        drawn = [piece for piece in sheet.pieces if piece.values_mv.size]
        if self._pointer is not None and self._is_pointing():
            no_keys = Qt.KeyboardModifier.NoModifier
            at = pointed(sheet, camera, self._pointer.x(), self._pointer.y(), no_keys)
            if at.piece is not None and at.piece.values_mv.size:
                drawn, to = [at.piece], self._pointer

        def distance(piece: TracePiece) -> tuple[float, float]:
            left = camera.x(piece.x_mm)
            width = (piece.end_s - piece.start_s) * sheet.speed_mm_s * camera.px_per_mm
            across = max(left - to.x(), to.x() - left - width, 0.0)
            return across, abs(camera.y(piece.baseline_mm) - to.y())

        if not drawn:
            return None
        piece = min(drawn, key=distance)
        time_s, value_mv = from_px(sheet, camera, piece, to.x(), to.y())
        time_s = min(max(time_s, piece.start_s), piece.end_s)
        return _Held(piece, from_s=time_s, from_mv=value_mv)

    def _is_pointing(self) -> bool:
        """Whether the pointer was moved over the ECG, and no key used there since."""
        return self._pointer is not None and self._view.viewport().underMouse()

"""Make the pictures of the documentation from the running program.

``python packaging/screenshots.py`` writes `docs/images/*.png`, each in light and in dark colours,
and the page `docs/gallery.md` that shows them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PySide6.QtCore import QEventLoop, QTimer

from echoing_gui.features.serial import Serial, SerialView
from echoing_gui.resources import asset
from echoing_gui.settings import Settings, save_settings
from echoing_gui.state import DisplayOptions, ThemeChoice
from echoing_gui.wiring import Program, build, default_services, make_application

DOCS = Path(__file__).parents[1] / "docs"
SIZE = (1600, 900)
SETTLING_MS = 600
TIMEOUT_MS = 60_000
POLL_MS = 50
N_LEADS = 12
FLAT_LEAD = 7
THEMES = (ThemeChoice.LIGHT, ThemeChoice.DARK)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: what is opened, what is done, and what it shows.

    Attributes
    ----------
    name
        Of the file.
    text
        Under the picture.
    demo
        Demonstration that is opened; empty for none.
    do
        Keys of the actions done, in order.
    further
        What no action does.
    ready
        When the picture can be taken, beyond the estimate.
    language
        Of the window.
    """

    name: str
    text: str
    demo: str = "demo_simulated_ecg.hea"
    do: tuple[str, ...] = ()
    further: Callable[[Program], object] | None = None
    ready: Callable[[Program], bool] = lambda _program: True
    language: str = "en"


def _compare(program: Program) -> None:
    serial = program.window.findChild(Serial)
    if serial is not None:
        # Of the same sex: two patients would be shown nothing but the warning.
        serial.compare_with(asset("demo", HEALTHY))


def _compared(program: Program) -> bool:
    return program.window.shown_view == "serial"


def _beats(program: Program) -> None:
    _compare(program)
    view = program.window.findChild(SerialView)
    if view is not None:
        view.show_beats()


ELECTRODES, BLOCK = "demo_arms_exchanged.hea", "demo_left_bundle_branch_block.hea"
HEALTHY = "demo_healthy.hea"
PICTURES = (
    Picture("start", "The start page.", demo=""),
    Picture("demo", "An ECG with its estimate; the loose electrode of V3 darkens its cells."),
    Picture("rows", "Layout 12x1.", do=("rows",)),
    Picture("waves", "Measurements and wave marks.", do=("measurements", "waves")),
    Picture("calipers", "A caliper on the trace.", do=("measurements", "caliper_both")),
    Picture("segments", "The most uncertain segment.", do=("segments", "next_uncertain")),
    Picture(
        "bench",
        "The estimate with a segment hidden from the model.",
        do=("bench", "next_uncertain", "hide_segments"),
    ),
    Picture("withheld", "Withheld until the electrodes are confirmed.", demo=ELECTRODES),
    Picture("not-reportable", "No result, and why: a flat lead.", demo="flat"),
    Picture("block", "Left bundle branch block: low, with a wide interval.", demo=BLOCK),
    Picture("comparison", "Two ECGs in one scale.", further=_compare, ready=_compared),
    Picture("beats", "Their median beats.", further=_beats, ready=_compared),
    Picture("guide", "The guided first reading.", do=("guide",)),
    Picture("german", "An ECG with its estimate, in German.", language="de"),
)


def flattened_demonstration(folder: Path) -> Path:
    """Copy the demonstration ECG with one lead at rest, as a lost electrode leaves it."""
    header = asset("demo", "demo_simulated_ecg.hea")
    lines = header.read_text(encoding="utf-8").splitlines()
    samples = np.fromfile(header.with_suffix(".dat"), dtype="<i2").reshape(-1, N_LEADS)
    samples[:, FLAT_LEAD] = 0
    fields = lines[1 + FLAT_LEAD].split()
    # Initial value and checksum of a signal line, header(5).
    fields[5:7] = ["0", "0"]
    lines[1 + FLAT_LEAD] = " ".join(fields)
    (folder / header.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / header.with_suffix(".dat").name).write_bytes(samples.tobytes())
    return folder / header.name


def wait_until(ready: Callable[[], bool]) -> bool:
    """Let the program run until something holds; False if it never does."""
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if ready() else None)
    timer.start(POLL_MS)
    QTimer.singleShot(TIMEOUT_MS, loop.quit)
    loop.exec()
    return ready()


def settle() -> None:
    """Let layouts settle."""
    loop = QEventLoop()
    QTimer.singleShot(SETTLING_MS, loop.quit)
    loop.exec()


def take(picture: Picture, theme: ThemeChoice, folder: Path) -> None:
    """Take one picture of a fresh window."""
    app = make_application()
    settings = folder / f"{picture.name}-{theme.value}"
    settings.mkdir()
    options = DisplayOptions(theme=theme, language=picture.language)
    save_settings(settings / "settings.json", Settings(options))
    program = build(default_services(), settings)
    controller, window = program.controller, program.window
    window.resize(*SIZE)
    window.show()
    controller.load_package()
    if picture.demo:
        file = (
            flattened_demonstration(folder)
            if picture.demo == "flat"
            else asset("demo", picture.demo)
        )
        controller.open_file(file)
        if not wait_until(lambda: controller.state.prediction is not None):
            sys.exit(f"No result for {picture.name}.")
    for key in picture.do:
        settle()
        window.trigger(key)
    if picture.further is not None:
        picture.further(program)
    if not wait_until(lambda: picture.ready(program)):
        sys.exit(f"{picture.name} was not ready in time.")
    settle()
    target = DOCS / "images" / f"{picture.name}-{theme.value}.png"
    window.grab().save(str(target), "PNG")
    window.close()
    app.sendPostedEvents()


def gallery_page() -> str:
    """Write the page that shows all pictures."""
    parts = [
        "# Gallery",
        "",
        "Written by `python packaging/screenshots.py`; not edited by hand.",
        "All ECGs are simulated.",
    ]
    for picture in PICTURES:
        parts += ["", f"## {picture.text}", ""]
        parts += [f"![{theme.value}](images/{picture.name}-{theme.value}.png)" for theme in THEMES]
    return "\n".join(parts) + "\n"


def main() -> None:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    (DOCS / "images").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for picture in PICTURES:
            for theme in THEMES:
                take(picture, theme, Path(folder))
    (DOCS / "gallery.md").write_text(gallery_page(), encoding="utf-8")


if __name__ == "__main__":
    main()

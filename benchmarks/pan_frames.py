"""Time of a frame while panning: offscreen raster, 1920 x 1080, 12 leads x 5000 samples, strips on.

``python benchmarks/pan_frames.py`` prints a Markdown table for all layouts and two pixel
densities; where it is the screen's own density, also the time of a frame while a caliper is moved.
Measured is the processor time of the thread that paints, which does all the work: what a frame
takes on an idle machine. The smallest median of several rounds is quoted: other work on the machine
only ever makes it larger.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import replace

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication

from echoing_gui import theme
from echoing_gui.features.measuring.drawing import paint_caliper
from echoing_gui.graphics.paper import Camera
from echoing_gui.panels.traces import EcgView
from echoing_gui.state import AppState, DisplayOptions, Layout, ScreenScale
from echoing_gui.state_marks import Caliper, CaliperKind
from echoing_gui.view_models.sheet import Sheet
from model_core.leads import STANDARD_LEADS
from model_core.types import (
    MeasureEstimate,
    PackageIdentity,
    Prediction,
    PredictionInterval,
    Recording,
    SegmentVariance,
)

WIDTH, HEIGHT = 1920, 1080
DRAWN = [
    Caliper(CaliperKind.TIME, "II", (1.0, 1.8), (0.0, 0.0), marching=True),
    Caliper(CaliperKind.BOTH, "V5", (8.0, 8.4), (0.0, 1.0)),
    Caliper(CaliperKind.AMPLITUDE, "V2", (5.5, 5.6), (0.0, 1.0)),
]


def example_state() -> AppState:
    """Ten seconds of noisy beats in twelve leads, with a variance for every segment."""
    rng = np.random.default_rng(0)
    time_s = np.arange(5000) / 500
    beat = 1.2 * np.exp(-(((time_s % 0.8) - 0.3) ** 2) / (2 * 0.012**2))
    signal_mv = rng.uniform(0.4, 1.2, (12, 1)) * beat + 0.03 * rng.standard_normal((12, 5000))
    recording = Recording("example", signal_mv.astype(np.float32), 500.0, STANDARD_LEADS, "example")
    variance = SegmentVariance(
        np.exp(rng.normal(-1, 0.8, (12, 50))).astype(np.float32),
        STANDARD_LEADS,
        np.linspace(0, 10, 51),
        (0.08, 2.5),
    )
    prediction = Prediction(
        "example",
        PackageIdentity("0" * 64, "example", "0", "Example."),
        (0.0, 10.0),
        estimates=(MeasureEstimate("lvef", 55.0, PredictionInterval(45.0, 65.0, 0.9)),),
        segment_variance=variance,
    )
    return AppState(recording=recording, prediction=prediction)


def median_frame_ms(view: EcgView, pixel_ratio: float, n_frames: int) -> float:
    """Median processor time of painting the view after a pan of a few pixels, ms."""
    image = QImage(
        round(WIDTH * pixel_ratio),
        round(HEIGHT * pixel_ratio),
        QImage.Format.Format_ARGB32_Premultiplied,
    )
    image.setDevicePixelRatio(pixel_ratio)
    bar = view.horizontalScrollBar()
    times_ms: list[float] = []
    for frame in range(n_frames):
        bar.setValue((frame * 7) % max(1, bar.maximum()))
        start = time.thread_time()
        view.paint(image)
        times_ms.append(1000 * (time.thread_time() - start))
    return statistics.median(times_ms)


def median_cursor_ms(view: EcgView, n_frames: int) -> float:
    """Median time of painting the view on the screen after a caliper's end was moved, ms."""
    times_ms: list[float] = []
    for frame in range(n_frames):
        DRAWN[0] = replace(DRAWN[0], times_s=(1.0, 1.2 + 0.01 * (frame % 50)))
        start = time.thread_time()
        view.refresh_overlays()
        QApplication.processEvents()  # noqa: TID251 - nothing else waits
        times_ms.append(1000 * (time.thread_time() - start))
    return statistics.median(times_ms)


def paint_calipers(painter: QPainter, sheet: Sheet, camera: Camera) -> None:
    """Draw the calipers, the first of them chosen."""
    for number, caliper in enumerate(DRAWN):
        paint_caliper(painter, caliper, number, 1 if number == 0 else None, sheet, camera)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tint", action="store_true", help="tint the paper by segment variance")
    options = parser.parse_args()
    app = QApplication([])
    theme.load_fonts()
    state = example_state()
    print("| layout | device pixels a pixel | ms a frame | frames/s | medians, ms | caliper, ms |")
    print("|---|---|---|---|---|---|")
    for layout in Layout:
        for pixel_ratio in (1.0, 2.0):
            view = EcgView()
            view.resize(WIDTH, HEIGHT)
            scaled = replace(
                state,
                options=DisplayOptions(layout=layout, variance_underlay=options.tint),
                screen=ScreenScale(6.2 * pixel_ratio, "2026-01-01", "bench"),
            )
            view.show_state(AppState(), scaled)
            view.show()
            median_frame_ms(view, pixel_ratio, 3)
            rounds = [
                median_frame_ms(view, pixel_ratio, options.frames) for _ in range(options.rounds)
            ]
            best = min(rounds)
            view.add_overlay(paint_calipers)
            cursor = "–"
            if pixel_ratio == view.devicePixelRatioF():
                cursor = f"{min(median_cursor_ms(view, options.frames) for _ in rounds):.1f}"
            print(
                f"| {layout.value} | {pixel_ratio:g} | {best:.1f} | {1000 / best:.0f} "
                f"| {best:.1f} to {max(rounds):.1f} | {cursor} |"
            )
            view.close()
            view.deleteLater()
    app.quit()


if __name__ == "__main__":
    main()

"""Time and memory of a package with the published networks at full size, random weights.

``python -m benchmarks.published_full_size``: prints a Markdown table; takes some minutes, 5 GB of
memory and 2 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.performance import machine

MB = 1e6


def write_release(folder: Path) -> Path:
    """Weights and word pieces as many as the released ones."""
    import torch

    from model_core.nn.published import RELEASED_ECG, PublishedEcgEncoder
    from model_core.nn.published_text import PublishedTextEncoder, TextGeometry

    torch.manual_seed(0)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789"]
    pieces += [f"##{digit}" for digit in range(10)]
    text = TextGeometry()
    pieces += [f"[unused{number}]" for number in range(text.vocabulary - len(pieces))]
    parts = {
        "ecg_encoder": PublishedEcgEncoder(RELEASED_ECG),
        "text_encoder": PublishedTextEncoder(text),
    }
    state = {
        f"{part}.{name}": values
        for part, network in parts.items()
        for name, values in network.state_dict().items()
    }
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    path = folder / "weights.pt"
    torch.save(state, path)
    return path


def make(weights: Path, scaler: Path, package: Path, n_checked: int) -> None:
    from model_core import export
    from training import import_published as importing

    # Each ECG that torch and ONNX Runtime are compared on costs three runs of the network.
    importing.N_CHECKED = n_checked
    importing.N_COMPARED = export.MIN_PARITY_INPUTS = min(n_checked, export.MIN_PARITY_INPUTS)
    files = importing.ReleasedFiles(weights, scaler, weights.parent)
    importing.import_published(files, package)


def window(package: Path) -> dict[str, float]:
    """Open the demonstration ECG in the window, off screen, and wait for the result."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtCore import QEventLoop, QTimer

    from echoing_gui.services import Model
    from echoing_gui.wiring import build, default_services, make_application

    def load() -> Model:
        from model_core.runtime.package import load_package
        from model_core.runtime.predictor import Predictor

        predictor = Predictor(load_package(package))
        predictor.self_test()
        return Model(
            predictor.package.identity,
            lambda ecg, cancel, confirmed: predictor.predict(ecg, cancel, confirmed=confirmed),
        )

    app = make_application()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        program = build(replace(default_services(), load_model=load), Path(folder))
        program.window.resize(1500, 1000)
        program.window.show()
        loop = QEventLoop()
        program.controller.state_changed.connect(
            lambda _, new: loop.quit() if new.prediction is not None else None
        )
        program.controller.load_package()
        program.controller.open_demo()
        QTimer.singleShot(120_000, loop.quit)
        loop.exec()
        shown = time.perf_counter() - started
        prediction = program.controller.state.prediction
        assert prediction is not None
        assert prediction.segment_variance is not None
        picture = program.window.grab()
        if place := os.environ.get("PICTURE"):
            picture.save(place)
        program.window.close()
        app.sendPostedEvents()
    return {"first result in the window, s": shown}


def predict(package: Path) -> dict[str, float]:
    from echoing_gui.resources import demo_recording_path
    from model_core.io import read_recording
    from model_core.runtime.package import load_package
    from model_core.runtime.predictor import Predictor

    recording = read_recording(demo_recording_path())
    started = time.perf_counter()
    loaded = load_package(package)
    checked = time.perf_counter()
    predictor = Predictor(loaded)
    ready = time.perf_counter()
    predictor.self_test()
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        predictor.predict(recording)
        times.append(time.perf_counter() - begun)
    return {
        "checking the package, s": checked - started,
        "loading the network, s": ready - checked,
        "one prediction, s": sorted(times)[2],
    }


def part(name: str, *arguments: str | Path) -> tuple[dict[str, float], float, float]:
    """Run one part in a process of its own: its figures, seconds, and peak memory in MB."""
    command = [sys.executable, "-m", "benchmarks.published_full_size", name, *map(str, arguments)]
    started = time.perf_counter()
    output = subprocess.check_output(command, text=True)
    report = json.loads(output.splitlines()[-1])
    return report["figures"], time.perf_counter() - started, report["peak_mb"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=("make", "predict", "window", "cli"))
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--scaler", type=Path, default=Path("../shared/parity/ecg_scaler.pkl"))
    parser.add_argument("--keep", type=Path, help="folder for weights and package")
    parser.add_argument(
        "--checked", type=int, default=128, help="ECGs that the export is checked on"
    )
    options = parser.parse_args()
    if options.part:
        figures: dict[str, float] = {}
        if options.part == "make":
            weights, scaler, package = options.paths
            make(weights, scaler, package, options.checked)
        elif options.part == "cli":
            from echoing_gui import cli
            from echoing_gui.resources import demo_recording_path

            package, output = options.paths
            code = cli.main(
                [
                    *("predict", str(demo_recording_path()), "--json"),
                    *("--package", str(package), "-o", str(output)),
                ]
            )
            figures = {"exit code": float(code)}
        else:
            figures = {"predict": predict, "window": window}[options.part](*options.paths)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
        print(json.dumps({"figures": figures, "peak_mb": peak_mb}))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        weights, package = write_release(folder), folder / "package"
        print(f"{machine()}. Load average {os.getloadavg()[0]:.1f}.\n")
        print("| part | seconds | peak memory, MB |\n|---|---|---|")
        _, seconds, peak = part(
            "make", weights, options.scaler, package, "--checked", str(options.checked)
        )
        print(
            f"| import-published, checked on {options.checked} ECGs | {seconds:.1f} | {peak:.0f} |",
            flush=True,
        )
        for name, what in (
            ("predict", "check, load, self-test, five predictions"),
            ("cli", "`echoing predict --json`, one ECG"),
            ("window", "window off screen, one ECG"),
        ):
            arguments = (package, folder / "out.json") if name == "cli" else (package,)
            figures, seconds, peak = part(name, *arguments)
            print(f"| {what} | {seconds:.1f} | {peak:.0f} |")
            for figure, value in figures.items():
                print(f"| - {figure} | {value:.2f} | |", flush=True)
        size = sum(path.stat().st_size for path in package.iterdir()) / MB
        print(f"\nPackage: {size:.1f} MB; weights: {weights.stat().st_size / MB:.0f} MB.")


if __name__ == "__main__":
    main()

"""Build the desktop program as one folder and prove it: ``python packaging/build.py [--deb]``.

Makes ``dist/echoing`` and ``dist/echoing-<version>-linux-<machine>.tar.xz``. Fails if a library is
missing, if the frozen program's self-test fails (empty home folder, off screen, no network where
the machine permits that), or if it predicts otherwise than the program it was made from.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUNDLE = ROOT / "dist" / "echoing"
PROGRAM = BUNDLE / "echoing"
DEMO = ROOT / "assets" / "demo" / "demo_simulated_ecg.hea"
SAMPLE = ROOT.parent / "shared" / "samples" / "wfdb" / "00001_hr.hea"
UNRESOLVED = re.compile(r"could not resolve '([^']+)', dependency of '([^']+)'")
MIB = 2**20

DESKTOP_ENTRY = """\
[Desktop Entry]
Type=Application
Name=EchoingECG
Comment=Echo measures with prediction intervals from a 12-lead ECG (research use only)
Exec=/opt/echoing/echoing %f
Icon=echoing
Terminal=false
Categories=Science;MedicalSoftware;
"""


def version() -> str:
    """Version of the program."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]


def freeze() -> None:
    """Run PyInstaller; a library that a kept file needs and this machine lacks ends the build."""
    command = [
        *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"),
        *("--distpath", str(ROOT / "dist"), "--workpath", str(ROOT / "build")),
        str(ROOT / "packaging" / "echoing.spec"),
    ]
    # No user configuration of PyInstaller takes part, and its cache stays out of the home folder.
    environment = {**os.environ, "PYINSTALLER_CONFIG_DIR": str(ROOT / "build" / "pyinstaller")}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    sys.stderr.write(run.stderr)
    run.check_returncode()
    kept = {path.name for path in BUNDLE.rglob("*")}
    missing = {needed for needed, by in UNRESOLVED.findall(run.stderr) if Path(by).name in kept}
    if missing:
        sys.exit(
            f"Missing on this machine: {', '.join(sorted(missing))}. "
            "Install the packages of packaging/apt-packages.txt."
        )


def without_network() -> list[str]:
    """Command prefix that cuts the network off; empty where the machine does not permit it."""
    prefix = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") and subprocess.run([*prefix, "true"], check=False).returncode == 0:
        return prefix
    return []


def clean_environment(home: Path) -> dict[str, str]:
    """Environment of a user who has nothing: no settings, no display, no Python paths."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    return {**kept, "HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}


def self_test() -> str:
    """Run the frozen program's self-test; returns how the network was."""
    prefix = without_network()
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(
            [*prefix, str(PROGRAM), "--self-test"],
            cwd=home,
            env=clean_environment(Path(home)),
            timeout=120,
            check=True,
        )
    return "off" if prefix else "on (this machine does not permit switching it off)"


def predict(program: Sequence[str], file: Path) -> dict[str, Any]:
    """Return what ``echoing predict`` says of a file."""
    with tempfile.TemporaryDirectory() as home:
        run = subprocess.run(
            [*program, "predict", str(file), "--json"],
            cwd=ROOT,
            env=clean_environment(Path(home)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if not run.stdout:
        sys.exit(f"{program[0]} predicts nothing for {file.name}: {run.stderr}")
    return json.loads(run.stdout)


def flac_record(folder: Path) -> Path:
    """Write the demonstration ECG as WFDB with FLAC, which a native library decodes."""
    import wfdb

    demo: Any = wfdb.rdrecord(str(DEMO.with_suffix("")), physical=False)
    wfdb.wrsamp(
        "flac",
        demo.fs,
        demo.units,
        demo.sig_name,
        d_signal=demo.d_signal,
        fmt=["516"] * len(demo.sig_name),
        adc_gain=demo.adc_gain,
        baseline=demo.baseline,
        comments=demo.comments,
        write_dir=str(folder),
    )
    return folder / "flac.hea"


def compare_with_source() -> list[str]:
    """Demand the same predictions of the frozen program and of the sources; returns the files."""
    with tempfile.TemporaryDirectory() as folder:
        files = [file for file in (DEMO, SAMPLE) if file.exists()]
        files.append(flac_record(Path(folder)))
        for file in files:
            frozen = predict([str(PROGRAM)], file)
            source = predict([sys.executable, "-m", "echoing_gui"], file)
            if frozen != source or frozen["error"] is not None:
                sys.exit(f"Frozen and source program on {file.name}:\n{frozen}\n{source}")
    return [file.name for file in files]


def archive(name: str) -> Path:
    """Pack the bundle, byte for byte the same for the same contents."""
    target = ROOT / "dist" / f"{name}.tar.xz"
    command = [
        *("tar", "--create", "--file", str(target), "--directory", str(BUNDLE.parent)),
        *("--use-compress-program", "xz -6 -T2", "--sort=name", "--owner=0", "--group=0"),
        *("--numeric-owner", "--mtime=@0", BUNDLE.name),
    ]
    subprocess.run(command, check=True)
    return target


def debian_package(name: str) -> Path:
    """Pack the bundle for Debian and Ubuntu: /opt/echoing, the command and the menu entry."""
    target = ROOT / "dist" / f"{name}.deb"
    glibc = platform.libc_ver()[1]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        tree.chmod(0o755)
        shutil.copytree(BUNDLE, tree / "opt" / "echoing", symlinks=True)
        (tree / "usr/bin").mkdir(parents=True)
        (tree / "usr/bin/echoing").symlink_to("/opt/echoing/echoing")
        menu = tree / "usr/share/applications"
        menu.mkdir(parents=True)
        (menu / "echoing.desktop").write_text(DESKTOP_ENTRY, encoding="utf-8")
        icons = tree / "usr/share/icons/hicolor/256x256/apps"
        icons.mkdir(parents=True)
        shutil.copy(ROOT / "assets" / "icons" / "echoing.png", icons)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN" / "control").write_text(
            f"Package: echoing-ecg\nVersion: {version()}\nArchitecture: amd64\n"
            f"Depends: libc6 (>= {glibc}), libgl1, libegl1, fontconfig-config\nSection: science\n"
            "Priority: optional\nMaintainer: The EchoingECG desktop authors <noreply@invalid>\n"
            "Description: Echo measures with prediction intervals from a 12-lead ECG\n"
            " Research use only; not a medical device.\n",
            encoding="utf-8",
        )
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", folder, str(target)], check=True
        )
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deb", action="store_true", help="make a .deb as well")
    arguments = parser.parse_args()
    name = f"echoing-{version()}-linux-{platform.machine()}"

    freeze()
    third_party = [sys.executable, str(ROOT / "packaging" / "third_party.py"), str(BUNDLE)]
    subprocess.run(third_party, stdout=subprocess.DEVNULL, check=True)
    network = self_test()
    compared = compare_with_source()
    packed = [archive(name)]
    if arguments.deb:
        packed.append(debian_package(name))

    size = [sys.executable, str(ROOT / "benchmarks" / "bundle_size.py"), str(BUNDLE)]
    subprocess.run(size, check=True)
    report = json.loads(subprocess.check_output([*size, "--json"]))
    report |= {
        "packed_mib": {path.name: round(path.stat().st_size / MIB, 1) for path in packed},
        "self_test": "passed",
        "network_during_self_test": network,
        "same_prediction_as_source": compared,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()

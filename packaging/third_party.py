"""Licences of what the bundle holds: ``python packaging/third_party.py dist/echoing``.

Copies every licence text into the bundle's folder ``licences`` and prints the table for
``docs/third-party.md``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

from PyInstaller.archive.readers import CArchiveReader

COMMON = Path("/usr/share/common-licenses")
# The wheels of these carry no licence text; Qt and its Python binding are used under the LGPL.
LGPL_TEXTS = (COMMON / "LGPL-3", COMMON / "GPL-3")
TEXTS_FROM_ELSEWHERE = {"PySide6_Essentials": LGPL_TEXTS, "shiboken6": LGPL_TEXTS}
LICENCE_NAMES = ("LICEN", "COPYING", "NOTICE", "THIRDPARTYNOTICES")


def modules_in(bundle: Path) -> set[str]:
    """Top-level names of the Python modules in the bundle."""
    archive = CArchiveReader(str(bundle / "echoing")).open_embedded_archive("PYZ.pyz")
    pure = {name.partition(".")[0] for name in archive.toc}
    return pure | {path.name for path in (bundle / "_internal").iterdir() if path.is_dir()}


def distributions_in(bundle: Path) -> list[importlib.metadata.Distribution]:
    """Installed distributions that the bundle's modules come from."""
    owners = importlib.metadata.packages_distributions()
    names = {owner for module in modules_in(bundle) for owner in owners.get(module, ())}
    found = [importlib.metadata.distribution(name) for name in names | {"pyinstaller"}]
    return sorted(
        (entry for entry in found if entry.name != "echoing-ecg"),
        key=lambda entry: entry.name.lower(),
    )


def licence_name(distribution: importlib.metadata.Distribution) -> str:
    """Licence as the distribution itself names it."""
    metadata = distribution.metadata
    named = [metadata[key] for key in ("License-Expression", "License") if key in metadata]
    if any(named):
        return next(filter(None, named)).splitlines()[0]
    classifiers = metadata.get_all("Classifier") or []
    listed = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License")]
    return ", ".join(listed) or "see its text"


def licence_texts(distribution: importlib.metadata.Distribution) -> list[Path]:
    """Licence texts of a distribution, on this machine."""
    files = [
        Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if file.name.upper().startswith(LICENCE_NAMES) and file.suffix not in {".py", ".pyc"}
    ]
    return files or list(TEXTS_FROM_ELSEWHERE.get(distribution.name, ()))


def system_packages(bundle: Path) -> dict[str, Path]:
    """Debian packages of the system's libraries in the bundle, with their copyright files."""
    libraries = [
        path.name
        for path in (bundle / "_internal").glob("lib*.so*")
        if not path.is_symlink() and not path.name.startswith("libpython")
    ]
    packages: dict[str, Path] = {}
    for library in libraries:
        answer = subprocess.run(
            ["dpkg", "--search", f"*/{library}"], capture_output=True, text=True, check=False
        )
        for line in answer.stdout.splitlines():
            package = line.partition(":")[0]
            text = Path("/usr/share/doc") / package / "copyright"
            if text.exists():
                packages[package] = text
                break
        else:
            sys.exit(f"No package of this machine holds {library}; its licence is unknown.")
    return dict(sorted(packages.items()))


def python_licence() -> Path:
    """Licence text of the running Python."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = (
        Path(sys.base_prefix) / "lib" / version / "LICENSE.txt",
        Path("/usr/share/doc") / version / "copyright",
    )
    return next(path for path in candidates if path.exists())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    bundle: Path = parser.parse_args().bundle
    target = bundle / "licences"
    shutil.rmtree(target, ignore_errors=True)

    rows = [("Python", f"{sys.version_info.major}.{sys.version_info.minor}", "PSF-2.0")]
    collected = {"python": [python_licence()]}
    for distribution in distributions_in(bundle):
        texts = licence_texts(distribution)
        if not texts:
            sys.exit(f"{distribution.name} has no licence text; add one to TEXTS_FROM_ELSEWHERE.")
        rows.append((distribution.name, distribution.version, licence_name(distribution)))
        collected[distribution.name] = texts
    for package, text in system_packages(bundle).items():
        collected[f"system/{package}"] = [text]

    for name, texts in collected.items():
        (target / name).mkdir(parents=True)
        for number, text in enumerate(texts):
            # Several texts of one name lie in different folders of a distribution.
            shutil.copyfile(text, target / name / f"{number:02d}-{text.stem}.txt")
    print("| part | version | licence |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()

"""Licences of what the bundle holds: ``python packaging/third_party.py dist/echoing``.

Copies every licence text into the bundle's folder ``licences`` and prints ``docs/third-party.md``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path

from PyInstaller.archive.readers import CArchiveReader

ROOT = Path(__file__).parents[1]
COMMON = Path("/usr/share/common-licenses")
# The wheels of these carry no licence text; Qt and its Python binding are used under the LGPL.
LGPL_TEXTS = (COMMON / "LGPL-3", COMMON / "GPL-3")
TEXTS_FROM_ELSEWHERE = {"PySide6_Essentials": LGPL_TEXTS, "shiboken6": LGPL_TEXTS}
# Where the name of a distribution is not the name of its folder in the bundle.
FOLDERS = {"PySide6_Essentials": "PySide6"}
LICENCE_NAMES = ("LICEN", "COPYING", "NOTICE", "THIRDPARTYNOTICES")

HEAD = """\
# Third-party software in the bundle

Written by `python packaging/third_party.py dist/echoing`; not edited by hand. The licence texts
lie in the bundle's folder `licences`. Sizes are MiB in the bundle; packages without one are
pure Python and lie in the program file.

Qt and its Python binding (PySide6, shiboken6) are used under the LGPL 3.0. The bundle is one
folder with ordinary shared libraries, so they can be exchanged: put other builds of the same
version series in place of the files in `_internal/PySide6` and `_internal/shiboken6`, or run
the program from source with another PySide6 installed. libsndfile, which soundfile brings, is
under the LGPL 2.1 and can be exchanged likewise in `_internal/_soundfile_data`. The program is
under Apache-2.0, the PyInstaller start-up code under the GPL with its exception for bundled
programs, the font Inter under the SIL Open Font License 1.1.
"""


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
        return next(filter(None, named)).splitlines()[0].partition(" with a special")[0]
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
    measure = [sys.executable, str(ROOT / "benchmarks" / "bundle_size.py"), str(bundle), "--json"]
    sizes = json.loads(subprocess.check_output(measure))["packages_mib"]

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    rows = [("Python", version, "PSF-2.0", sizes["Python"])]
    collected = {"python": [python_licence()]}
    for distribution in distributions_in(bundle):
        texts = licence_texts(distribution)
        if not texts:
            sys.exit(f"{distribution.name} has no licence text; add one to TEXTS_FROM_ELSEWHERE.")
        size = sizes.get(FOLDERS.get(distribution.name, distribution.name))
        rows.append((distribution.name, distribution.version, licence_name(distribution), size))
        collected[distribution.name] = texts
    for package, text in system_packages(bundle).items():
        collected[f"system/{package}"] = [text]
    rows.append(("libraries of the build system", "", "each its own", sizes["system libraries"]))

    for name, texts in collected.items():
        (target / name).mkdir(parents=True)
        for number, text in enumerate(texts):
            # Several texts of one name lie in different folders of a distribution.
            shutil.copyfile(text, target / name / f"{number:02d}-{text.stem}.txt")
    table = [
        f"| {name} | {release} | {licence} | {size or ''} |"
        for name, release, licence, size in rows
    ]
    document = "\n".join([HEAD, "| part | version | licence | MiB |", "|---|---|---|---|", *table])
    (target / "README.md").write_text(document + "\n", encoding="utf-8")
    print(document)


if __name__ == "__main__":
    main()

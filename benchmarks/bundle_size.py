"""How large the bundle is: ``python benchmarks/bundle_size.py dist/echoing [--json]``.

Sizes are the sum of the files' lengths, in MiB (2^20 bytes); links count nothing.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

MIB = 2**20
# Library folders that wheels lay beside their package.
BELONGS_TO = {
    "numpy.libs": "numpy",
    "numpy-": "numpy",
    "shiboken6": "PySide6",
    "echoing": "echoing and pure Python",
}


def package_of(path: Path) -> str:
    """Package that a file of the bundle belongs to."""
    top = path.parts[0]
    if len(path.parts) == 1:
        return "Python" if top.startswith(("libpython", "base_library")) else "system libraries"
    if top.startswith("python3"):
        return "Python"
    return next((owner for start, owner in BELONGS_TO.items() if top.startswith(start)), top)


def sizes_mib(bundle: Path) -> dict[str, float]:
    """MiB by package, largest first; the program file itself holds all pure Python code."""
    contents = bundle / "_internal"
    sizes: Counter[str] = Counter()
    for path in bundle.rglob("*"):
        if path.is_file() and not path.is_symlink():
            inside = path.is_relative_to(contents)
            name = package_of(path.relative_to(contents)) if inside else "echoing and pure Python"
            sizes[name] += path.stat().st_size
    return {name: size / MIB for name, size in sizes.most_common()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON object, not a table")
    arguments = parser.parse_args()
    sizes = sizes_mib(arguments.bundle)
    if not sizes:
        parser.error(f"{arguments.bundle} holds no files")
    total = sum(sizes.values())
    if arguments.json:
        rounded = {name: round(size, 1) for name, size in sizes.items()}
        print(json.dumps({"unpacked_mib": round(total, 1), "packages_mib": rounded}))
        return
    print("| part | MiB |\n|---|---|")
    for name, size in sizes.items():
        print(f"| {name} | {size:.1f} |")
    print(f"| **all** | **{total:.1f}** |")


if __name__ == "__main__":
    main()

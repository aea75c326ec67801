"""What the device install takes on disk: a fresh environment with `edge-mi[tflite,ble]`, without pip itself.

Run by `make install-size`; prints one JSON document.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

SCHEMA = 1
ROOT = Path(__file__).resolve().parents[1]
EXTRAS = "tflite,ble"
LIMIT_MIB = 150
NOT_OURS = ("pip", "setuptools")


def main() -> int:
    """Install, measure, print; exit code 1 above the limit."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "venv"
        venv.create(home, with_pip=True)
        python = home / "bin" / "python"
        # a copy, since a build leaves its work behind
        source = shutil.copytree(
            ROOT,
            Path(folder) / "source",
            ignore=shutil.ignore_patterns(".git", ".venv*", ".arm", "runs", "build"),
        )
        subprocess.run(
            [python, "-m", "pip", "--disable-pip-version-check", "-q", "install",
             "-c", ROOT / "constraints.txt", f"{source}[{EXTRAS}]"],
            check=True,
        )  # fmt: skip
        site = next((home / "lib").glob("python*/site-packages"))
        sizes = {path.name: _bytes(path) for path in site.iterdir() if not path.name.startswith(NOT_OURS)}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:6]
    total_mib = sum(sizes.values()) / 2**20
    print(
        json.dumps({
            "schema": SCHEMA,
            "extras": EXTRAS,
            "architecture": platform.machine(),
            "python": platform.python_version(),
            "mib": round(total_mib, 1),
            "largest_mib": {name: round(sizes[name] / 2**20, 1) for name in largest},
            "command": "make install-size",
        })
    )  # fmt: skip
    return 0 if total_mib <= LIMIT_MIB else 1


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_blocks * 512 for file in files)


if __name__ == "__main__":
    sys.exit(main())

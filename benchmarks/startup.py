"""How long `edge-mi --help` takes, from the shell's point of view. Run by `make figures`; prints one JSON document."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from .machine import describe_machine

SCHEMA = 1
ROUNDS = 21
LIMIT_S = 0.3


def main() -> int:
    """Measure and print; exit code 1 above the limit."""
    command = Path(sys.executable).with_name("edge-mi")
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run([command, "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    p50, worst = float(np.median(times[1:])), max(times[1:])
    print(
        json.dumps({
            "schema": SCHEMA,
            "machine": describe_machine(),
            "n": ROUNDS - 1,
            "help_s": {"p50": round(p50, 3), "max": round(worst, 3)},
            "command": "make figures",
        })
    )  # fmt: skip
    return 0 if p50 <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())

"""The demo as `make demo` runs it: it must end well, and show what it promises."""

from __future__ import annotations

import subprocess
import sys


def test_the_demo_runs_through_and_ends_in_a_screen_that_a_person_understands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_mi.benchmarks.demo"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for words in (
        "=== 1/3  $ edge-mi export --int8",
        "=== 2/3  $ edge-mi bench",
        "=== 3/3  $ edge-mi stream",
        "Research use only",
        "RESULT",
        "ALARM: pattern of myocardial infarction",
        "HOW MUCH THIS IS WORTH",
    ):
        assert words in done.stdout
    assert "9750 samples in 134 frames" in done.stderr
    assert "none lost" in done.stderr

"""Every file of the shipped checkpoint's bundle, without the comparisons that `edge-mi export` adds.

`python -m edge_mi.benchmarks.arm_bundle FOLDER`; emulated, those comparisons take minutes and this takes seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_mi.export.bundle_writer import write_unchecked
from edge_mi.export.quantise import quantise

from edge_mi.checkpoint import Checkpoint
from edge_mi.shipped import shipped_checkpoint


def main() -> int:
    """Write the files into a new folder."""
    folder = Path(sys.argv[1])
    folder.mkdir()
    checkpoint = Checkpoint.load(shipped_checkpoint())
    write_unchecked(checkpoint, quantise(checkpoint), folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

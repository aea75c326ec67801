"""The shipped network through other converters and through ours, judged beside each other in one run.

`python -m edge_mi.benchmarks.converters --data STORE` makes the converters' environments on first use (8 GB in
`.converters/`), converts, judges every file here, and writes benchmarks/results/converters.json. Without `--data` all
windows are synthetic and nothing is said of AUROC. Typed by `make converters`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from edge_mi.checkpoint import Checkpoint
from edge_mi.errors import ConfigError
from edge_mi.files import check_place, write_file
from edge_mi.shipped import shipped_checkpoint
from edge_mi.store import WindowStore

from .comparison import compare_files, own_files
from .environments import Environments
from .material import gather
from .routes import convert_all, run_step, write_task

RESULT: Final = Path(__file__).resolve().parents[1] / "results" / "converters.json"


def main() -> int:
    """Convert, judge and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="STORE", help="window store of `edge-mi data build`")
    parser.add_argument("--environments", type=Path, default=Path(".converters"), metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    args = parser.parse_args()
    check_place(args.out)
    checkpoint = Checkpoint.load(shipped_checkpoint())
    info = checkpoint.info
    if info.ranges.learned:
        raise ConfigError(
            "the ranges of this checkpoint were trained with its weights; no converter can take them over"
        )
    material = gather(info, WindowStore.open(args.data) if args.data is not None else None)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        write_task(folder, info.net, checkpoint.weights, material.calibration)
        environments = Environments(args.environments.resolve())
        others = convert_all(folder, partial(run_step, environments=environments, folder=folder))
    document = compare_files(checkpoint, material, [*own_files(checkpoint, material), *others])
    write_file(args.out, (json.dumps(document, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

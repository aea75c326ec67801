"""What else was tried on the lead-I network: each change cross-validated in pairs against the recipe.

`python -m edge_mi.benchmarks.trials --run DIR --data STORE [NAME ...]`, with the run folder of `edge-mi train cv`,
whose teachers serve again. Run by `make trials`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge_mi.train.config import Recipe
from edge_mi.train.parts import RunFolder
from edge_mi.train.trials.catalogue import TRIALS
from edge_mi.train.trials.compare import run_trials

from edge_mi import strict
from edge_mi.files import write_file

SCHEMA: Final = 1
RESULT: Final = Path(__file__).resolve().parent / "results" / "trials.json"
SEEDS: Final = (0, 1, 2)
COMMAND: Final = "make trials"


def main() -> int:
    """Train what is not there yet, measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TRIALS, []], metavar="NAME", help=", ".join(TRIALS))
    parser.add_argument("--run", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data", type=Path, required=True, metavar="STORE")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    args = parser.parse_args()
    if args.names and args.out == RESULT:
        parser.error("some trials only: name another file with --out")
    run = RunFolder(args.run, args.data)
    store, recipe = run.store, replace(Recipe(), align=None)
    tried = run_trials(run, recipe, args.names or list(TRIALS), SEEDS)
    source = store.manifest.source
    document = {
        "schema": SCHEMA,
        "data": f"{source.name} {source.version}, {source.selection}",
        "label_rule": source.label_rule,
        "network": recipe.student.net.name,
        "seeds": SEEDS,
        "trials": [strict.encode(each) for each in tried],
        "command": COMMAND
        if not args.names
        else f"python -m edge_mi.benchmarks.trials {' '.join(args.names)}",
    }
    write_file(args.out, strict.dumps(document).encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

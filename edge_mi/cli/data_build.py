"""edge-mi data build: from a public collection to a window store."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi.data_folder import DATA_VARIABLE, DEFAULT_DATA, data_folder
from edge_mi.optional import require


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "collection", metavar="COLLECTION", help="ptbxl, ptbdb, ludb, mimic-iv-ecg, cinc2017 ..."
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help=f"folder of the collection (default: COLLECTION in ${DATA_VARIABLE} or in {DEFAULT_DATA})",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="STORE", help="folder to make")
    parser.add_argument(
        "--rate", type=int, metavar="HZ", help="records of PTB-XL to read: 100 (default) or 500"
    )
    parser.add_argument(
        "--likelihood", type=float, default=0.0, metavar="P",
        help="lowest likelihood in percent at which a statement of infarction counts (default: 0, any)",
    )  # fmt: skip
    parser.add_argument(
        "--negatives", choices=("all", "norm"), default="all",
        help="records without infarction to keep: all, or the normal ones only (default: all)",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace what is there, and forget an unfinished pass of another kind",
    )


def run(args: argparse.Namespace) -> int:
    require("scipy", extra="train")
    args.data = args.data or data_folder(args.collection)
    commands: Any = import_module("edge_mi.train.data.commands")
    return int(commands.build(args))

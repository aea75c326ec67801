"""edge-mi data: public collections on this machine; each verb has a module of its own."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Final

VERBS: Final[dict[str, tuple[str, str]]] = {
    "fetch": ("edge_mi.cli.data_fetch", "download a collection from PhysioNet, or go on with it"),
    "check": ("edge_mi.cli.data_check", "hash a download or a window store against its list"),
    "build": ("edge_mi.cli.data_build", "filter a collection once into a window store, or go on with it"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, (module, summary) in VERBS.items():
        verb = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        import_module(module).add_arguments(verb)


def run(args: argparse.Namespace) -> int:
    return int(import_module(VERBS[args.verb][0]).run(args))

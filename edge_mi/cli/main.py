"""The command table and what every command shares: parsing, exit codes, one line for an error."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn

from edge_mi.errors import EdgeMIError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "export": ("edge_mi.cli.export", "write a checkpoint as an int8 bundle (TFLite and ONNX)"),
    "stream": ("edge_mi.cli.stream", "live lead I, or a record, to decisions"),
    "emulate": ("edge_mi.cli.emulate", "serve a record as a Bluetooth patch"),
    "score": ("edge_mi.cli.score", "probability of each record of a folder"),
    "bench": ("edge_mi.cli.bench", "measure latency and memory on this machine"),
    "info": ("edge_mi.cli.info", "what a bundle is, and whether it computes right here"),
    "doctor": ("edge_mi.cli.doctor", "what is installed, and what to type for what is not"),
    "train": ("edge_mi.cli.train", "make a checkpoint from PTB-XL"),
}


class _Parser(argparse.ArgumentParser):
    """argparse, with an error that is one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser; with `only`, the arguments of that command alone are loaded."""
    parser = _Parser(
        prog="edge-mi",
        description="Patterns of myocardial infarction in lead I, on the device. "
        "Research use only; not a medical device.",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if only is None or only == name:
            import_module(module).add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code is 0 done, 1 a check failed, 2 bad input or usage, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    named = next((word for word in words if not word.startswith("-")), "")
    parser = build_parser(only=named)
    args = parser.parse_args(words)
    if args.version:
        from importlib.metadata import version

        print(f"edge-mi {version('edge-mi')}")
        return 0
    if args.command is None:
        parser.print_help()
        return 2 if words else 0
    module, _ = COMMANDS[args.command]
    try:
        return int(import_module(module).run(args))
    except EdgeMIError as exc:
        if args.debug:
            raise
        print(f"edge-mi: {' '.join(str(exc).split())}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print("edge-mi: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # the reader of our output is gone; nothing more can be said, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as exc:
        if args.debug:
            raise
        print(
            f"edge-mi: unexpected {type(exc).__name__}: {' '.join(str(exc).split())} (a bug; --debug shows where)",
            file=sys.stderr,
        )
        return 70


if __name__ == "__main__":
    raise SystemExit(main())

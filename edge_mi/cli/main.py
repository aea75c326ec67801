"""The command table and what every command shares: parsing, exit codes, one line for an error."""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

from edge_mi.cli.talk import tell
from edge_mi.errors import EdgeMIError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "export": ("edge_mi.cli.export", "write a checkpoint as an int8 bundle (TFLite and ONNX)"),
    "stream": ("edge_mi.cli.stream", "live lead I, or a record, to decisions"),
    "record": ("edge_mi.cli.record", "lead I of a patch into a recording"),
    "recording": ("edge_mi.cli.recording", "what is in a recording; EDF+ of it"),
    "emulate": ("edge_mi.cli.emulate", "serve a record as a Bluetooth patch"),
    "score": ("edge_mi.cli.score", "probability of each record of a folder"),
    "bench": ("edge_mi.cli.bench", "measure latency and memory on this machine"),
    "info": ("edge_mi.cli.info", "what a bundle is, and whether it computes right here"),
    "doctor": ("edge_mi.cli.doctor", "what is installed, and what to type for what is not"),
    "data": ("edge_mi.cli.data", "download a public collection, check it, make a window store of it"),
    "train": ("edge_mi.cli.train", "make a checkpoint, and measure what its recipe is worth"),
}
# what these have half-written is removed when the system stops them; training keeps it, to go on from there
UNDONE_WHEN_STOPPED: Final = {"export", "score", "recording"}


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
    debug = "--debug" in words
    interruption = _Interruption()
    # what libraries have to say goes nowhere, unless somebody looks for a fault
    logging.basicConfig(level=logging.WARNING) if debug else logging.getLogger().addHandler(
        logging.NullHandler()
    )
    try:
        try:
            code = _run(words, interruption)
        finally:
            sys.stdout.flush()
        return code
    except EdgeMIError as exc:
        if debug:
            raise
        return _complain(str(exc), exc.exit_code)
    except KeyboardInterrupt:
        return interruption.complain()
    except BrokenPipeError:
        _forget_stdout()
        return 128 + signal.SIGPIPE
    except Exception as exc:
        if interruption.happened:  # some libraries turn it into an error of their own while they are loaded
            return interruption.complain()
        if debug:
            raise
        if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
            _forget_stdout()
            return _complain(f"cannot write the results: {exc.strerror}", 2)
        return _complain(f"unexpected {type(exc).__name__}: {exc} (a bug; --debug shows where)", 70)
    finally:
        interruption.end()


def _run(words: list[str], interruption: _Interruption) -> int:
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
    if args.command in UNDONE_WHEN_STOPPED:
        interruption.hear(signal.SIGTERM, signal.SIGHUP)
    module, _ = COMMANDS[args.command]
    return int(import_module(module).run(args))


def _complain(message: str, code: int) -> int:
    tell(message)
    return code


def _forget_stdout() -> None:
    """Send what is left of the output nowhere: its reader is gone, and the interpreter would try once more."""
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = io.StringIO()
    finally:
        os.close(sink)


class _Interruption:
    """Remembers that the user pressed Ctrl-C, or that the system ends us, whatever the code that it hit makes of it."""

    def __init__(self) -> None:
        self.signal = signal.SIGINT
        self.happened = False
        self._before: dict[signal.Signals, Any] = {}
        self.hear(signal.SIGINT)

    def hear(self, *numbers: signal.Signals) -> None:
        """Raise KeyboardInterrupt at these signals, unless we were started to ignore one that no user sends."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in numbers:
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._interrupt)

    def complain(self) -> int:
        """Say one word; the exit code."""
        return _complain("interrupted" if self.signal == signal.SIGINT else "terminated", 128 + self.signal)

    def end(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, _: object) -> NoReturn:
        self.happened, self.signal = True, signal.Signals(number)
        raise KeyboardInterrupt

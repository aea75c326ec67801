"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_mi.bundle import Bundle
from edge_mi.bundle_rows import signature_facts
from edge_mi.detector import PLACEMENTS
from edge_mi.errors import ConfigError, OutputError
from edge_mi.files import check_place, output_error
from edge_mi.polarity import POLARITY_MODES
from edge_mi.runners.base import RUNNER_NAMES
from edge_mi.shipped import shipped_bundle
from edge_mi.signature import PublicKey


def add_bundle(parser: argparse.ArgumentParser, *, option: bool = False) -> None:
    """BUNDLE, which defaults to the one that ships, and --require-signed."""
    if option:
        parser.add_argument(
            "--bundle", type=Path, metavar="BUNDLE", help="bundle folder (default: the one that ships)"
        )
    else:
        parser.add_argument(
            "bundle",
            nargs="?",
            type=Path,
            metavar="BUNDLE",
            help="bundle folder (default: the one that ships)",
        )
    parser.add_argument(
        "--require-signed",
        type=Path,
        metavar="KEY",
        help="refuse a bundle that is not signed by this Ed25519 public key (PEM)",
    )


def add_runner(parser: argparse.ArgumentParser) -> None:
    """--runner, --operating-point and --whole-window."""
    parser.add_argument(
        "--runner",
        choices=["auto", *RUNNER_NAMES],
        default="auto",
        help="what executes the model (default: auto)",
    )
    parser.add_argument(
        "--operating-point", metavar="NAME", help="threshold to use (default: the bundle's own choice)"
    )
    parser.add_argument(
        "--whole-window",
        action="store_true",
        help="compute each window anew instead of its new frames only (same decisions)",
    )


def add_lead(parser: argparse.ArgumentParser) -> None:
    """--lead and --rate, for records."""
    parser.add_argument("--lead", default="I", metavar="NAME", help="lead of the record to use (default: I)")
    parser.add_argument(
        "--rate", type=float, metavar="HZ", help="sampling rate of a CSV without a time column"
    )


def add_placement(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """--placement."""
    parser.add_argument(
        "--placement", choices=PLACEMENTS, default=default,
        help="where the electrodes are: lead-i (right and left arm) or chest (a strap as worn)",
    )  # fmt: skip


def add_polarity(parser: argparse.ArgumentParser) -> None:
    """--polarity."""
    parser.add_argument(
        "--polarity", choices=POLARITY_MODES, default="check",
        help="check withholds a lead I that looks upside down (default); trust is for who knows that the electrodes are "
        "right",
    )  # fmt: skip


def positive(text: str) -> float:
    """A number above 0 that time can be counted in. For argparse."""
    value = float(text)
    if not 1e-3 <= value <= 1e9:
        raise argparse.ArgumentTypeError(f"{text}; expected a number from 0.001 to 1e9")
    return value


def load_bundle(args: argparse.Namespace, *, warn: bool = True) -> Bundle:
    """The bundle that the arguments of `add_bundle` name, signed as they demand.

    warn: say so where a signature does not fit and nobody demanded one.
    """
    key = PublicKey.load(args.require_signed) if args.require_signed is not None else None
    bundle = Bundle.load(args.bundle if args.bundle is not None else shipped_bundle(), require_signed=key)
    _, fault = signature_facts(bundle) if warn else (None, None)
    if fault is not None:
        print(f"edge-mi: {fault}; --require-signed KEY would refuse it", file=sys.stderr)
    return bundle


def check_new_recording(folder: Path) -> None:
    """Raises OutputError where a recording `folder` cannot begin: said before a patch is looked for."""
    try:
        there = folder.exists() or folder.is_symlink()
    except OSError as exc:
        raise output_error(folder, exc) from exc
    if there:
        raise OutputError(f"{folder} exists; a recording replaces nothing: choose another name")
    check_place(folder)


def check_radio(args: argparse.Namespace) -> None:
    """Raises ConfigError for arguments of `add_radio` that exclude each other."""
    if args.link is not None and args.adapter is not None:
        raise ConfigError(
            "--link reaches an emulated patch without an adapter: leave out one of --link and --adapter"
        )


def add_radio(parser: argparse.ArgumentParser) -> None:
    """How a patch is reached, and what is demanded of it."""
    parser.add_argument(
        "--link", metavar="unix:PATH", help="reach an emulated patch there instead of the system's adapter"
    )
    parser.add_argument("--adapter", metavar="NAME", help="adapter to use, such as hci1 (Linux)")
    parser.add_argument(
        "--profile",
        metavar="PROFILE",
        help="kind of the patch, where its name does not tell (docs/bluetooth.md)",
    )
    parser.add_argument(
        "--patch-rate", type=int, metavar="HZ", help="rate to ask the patch for, where it has several"
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="connect to this address only; give it again for more",
    )
    parser.add_argument("--encrypt", action="store_true", help="demand an encrypted link of every patch")
    parser.add_argument(
        "--lsl",
        action="store_true",
        help="publish it on the local network as Lab Streaming Layer streams too (extra lsl)",
    )

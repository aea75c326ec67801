"""The work behind `edge-mi data build`."""

from __future__ import annotations

import argparse
import sys

from edge_mi.errors import ConfigError
from edge_mi.store import Manifest
from edge_mi.terminal import table

from ..filters import MODEL_RATE_HZ, design_signal_chain
from .build import build_store
from .collection import LabelRule
from .collections import open_collection


def build(args: argparse.Namespace) -> int:
    """Filter a collection once into a window store."""
    if args.jobs is not None and args.jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, found {args.jobs}")
    rule = LabelRule(likelihood=args.likelihood, negatives=args.negatives)
    collection = open_collection(args.collection, args.data, rule, rate_hz=args.rate)
    manifest = build_store(
        collection, args.out, design_signal_chain(MODEL_RATE_HZ), jobs=args.jobs, force=args.force, say=say
    )
    print(describe(manifest))
    return 0


def say(text: str) -> None:
    """A line on stderr, over the progress bar where there is one."""
    print(f"\r\x1b[K{text}" if sys.stderr.isatty() else text, file=sys.stderr)


def describe(manifest: Manifest) -> str:
    """What a store holds and what was left out of it, for a person."""
    source = manifest.source
    lines = [
        f"{source.name} {source.version} ({source.licence}): {manifest.records} records ({source.selection}), "
        f"{manifest.samples_per_record} samples of {len(manifest.leads)} leads at {manifest.rate_hz} Hz",
        f"labels: {source.label_rule}",
        f"samples: {manifest.clipped_samples} clipped, {manifest.missing_samples} missing",
    ]
    if manifest.left_out:
        rows = [[str(n), reason] for reason, n in manifest.left_out.items()]
        lines += ["", table(rows, header=["left out", "reason"])]
    return "\n".join(lines)

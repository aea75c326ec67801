"""What `edge-mi` and `python -m edge_mi` run."""

from __future__ import annotations

import sys


def run() -> int:
    """The command line, from its first import on."""
    try:
        from edge_mi.cli.main import main

        return main()
    except KeyboardInterrupt:
        print("edge-mi: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(run())

"""Waiting for what another process says."""

from __future__ import annotations

from typing import IO


def wait_for(stream: IO[str], text: str) -> None:
    """Read lines until one holds `text`; fails where the stream ends first."""
    while text not in (line := stream.readline()):
        assert line, f"the process ended without a word of {text!r}"

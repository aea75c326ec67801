"""Work that kills the process that does it, importable by a spawned worker."""

from __future__ import annotations

import os
import signal


def killed_by_thirteen(item: int) -> int:
    """Twice the item; the process that gets 13 dies of it."""
    if item == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * item

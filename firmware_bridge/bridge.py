"""What the command line and programs open: a radio, and streams of patches by the names that users type."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from .client import Choices, PatchStream
from .profile import Wishes
from .profiles import profile_named
from .radio import Radio
from .target import target_of


def radio_of(link: str | None = None, adapter: str | None = None) -> Radio:
    """The radio of this process: the system's, or an emulator's at `link` (`unix:PATH`)."""
    return Radio(link=link, adapter=adapter)


def patch_stream(
    radio: Radio,
    device: str,
    *,
    allowed: Sequence[str] = (),
    profile: str | None = None,
    rate_hz: int | None = None,
    encrypt: bool = False,
    stop: asyncio.Event | None = None,
    on_event: Callable[[str], None] | None = None,
) -> PatchStream:
    """The stream of the patch that `device` names: the beginning of its name, its address or its service.

    Raises ConfigError for a name, address, profile or rate that cannot be.
    """
    chosen = None if profile is None else profile_named(profile)
    wishes = Wishes(rate_hz=rate_hz)
    if chosen is not None:
        chosen.session(wishes)  # a rate that it does not have is refused before the scan
    choices = Choices(profile=chosen, wishes=wishes, encrypt=encrypt)
    return PatchStream(radio, target_of(device, allowed), choices, stop=stop, on_event=on_event)

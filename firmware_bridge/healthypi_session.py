"""The HealthyPi boards: no control point at all, they send while somebody is subscribed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from edge_mi.errors import ConfigError, FrameError

from .battery import BATTERY_LEVEL, decode_battery
from .healthypi_packets import ECG, HEALTHYPI_5, HEALTHYPI_MOVE, HEALTHYPI_V4, SERVICE, Layout, decode
from .profile import Profile, Wishes
from .session import BadFrame, Message, Refused, Started


class HealthyPiSession:
    """The dialogue of one connection with a board of this layout.

    Raises ConfigError for another rate than the one it has.
    """

    def __init__(self, layout: Layout, wishes: Wishes) -> None:
        rate_hz = layout.format.rate_hz
        if wishes.rate_hz not in (None, rate_hz):
            raise ConfigError(
                f"the {layout.title} has {rate_hz:g} Hz and no other rate, found {wishes.rate_hz}"
            )
        self._layout = layout

    def begin(self) -> Sequence[Message]:
        """Nothing to ask for: it sends already, or the layout says why that is no ECG to judge by."""
        refusal = self._layout.refusal
        return [Started(self._layout.format)] if refusal is None else [Refused(refusal)]

    def receive(self, characteristic: str, data: bytes) -> Sequence[Message]:
        """What a notification means."""
        if characteristic == BATTERY_LEVEL:
            return [decode_battery(data)]
        if characteristic != ECG:
            return []
        try:
            return [decode(self._layout, data)]
        except FrameError as exc:
            return [BadFrame(str(exc))]

    def end(self) -> Sequence[Message]:
        """Nothing to ask for: it ends with the subscription."""
        return []


def _profile(key: str, layout: Layout, *names: str) -> Profile:
    return Profile(
        key=key,
        title=layout.title,
        names=names,
        service=SERVICE,
        subscribe=(ECG,),
        needed_mtu=layout.needed_mtu,
        session=partial(HealthyPiSession, layout),
    )


# one UUID and three layouts: the name tells them apart; firmware 1 of the HealthyPi 5 is known to the user only
PROFILES: Final = (
    _profile("healthypi5", HEALTHYPI_5, "healthypi 5"),
    _profile("healthypi5-fw1", replace(HEALTHYPI_5, title="HealthyPi 5 with firmware 1.1", refusal=None)),
    _profile("healthypi-move", HEALTHYPI_MOVE, "healthypi move"),
    _profile("healthypi4", HEALTHYPI_V4, "healthypi v4"),
)

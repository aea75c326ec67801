"""The Battery Level of the Bluetooth SIG (assigned number 0x2A19), which most patches have beside their own service."""

from __future__ import annotations

from typing import Final

from .session import BadFrame, Battery

BATTERY_LEVEL: Final = "00002a19-0000-1000-8000-00805f9b34fb"


def decode_battery(data: bytes) -> Battery | BadFrame:
    """One byte, percent; anything else is no battery level."""
    if len(data) == 1 and data[0] <= 100:
        return Battery(data[0])
    return BadFrame(f"a battery level of {data.hex() or 'no bytes'}; expected one byte, 0 to 100")

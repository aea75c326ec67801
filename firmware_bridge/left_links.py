"""Links that a killed program left to BlueZ: the patch at their other end advertises no more, so no scan finds it.

BlueZ ends the subscriptions of a program that is gone, and keeps its link. So a link without a subscription is nobody's;
once it is closed, the patch can be found. Source: the BlueZ documents org.bluez.Device and org.bluez.GattCharacteristic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeAlias

from edge_mi.errors import PatchError
from edge_mi.optional import require

from .pairing_agent import is_bluez
from .target import Target

_CALL_S: Final = 5.0
_DEVICE: Final = "org.bluez.Device1"
_CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"

# path -> interface -> property -> value, as BlueZ's object manager has them
Objects: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Any]]]


async def close_left_links(target: Target, but: Collection[str]) -> bool:
    """Close those of the patch that is meant, except to the addresses in `but`; whether there was one.

    Raises PatchError where BlueZ does not answer. On other systems there is nothing to do.
    """
    if not is_bluez():
        return False
    aio, constants = require("dbus_fast.aio", extra="ble"), require("dbus_fast.constants", extra="ble")
    unpack = require("dbus_fast.unpack", extra="ble").unpack_variants
    bus = None
    try:
        bus = await aio.MessageBus(bus_type=constants.BusType.SYSTEM).connect()
        found = await _ask(bus, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        paths = left_links(unpack(found[0]) if found else {}, target, but)
        for path in paths:
            await _ask(bus, path, _DEVICE, "Disconnect")
        return bool(paths)
    except (OSError, EOFError, TimeoutError) as exc:
        raise PatchError(f"BlueZ does not say which links there are ({exc})") from exc
    finally:
        if bus is not None:
            bus.disconnect()


def left_links(objects: Objects, target: Target, but: Collection[str]) -> list[str]:
    """Paths of the devices in question that are connected, and of which nobody has a characteristic subscribed."""
    taken = {address.lower() for address in but}
    return [
        path
        for path, interfaces in objects.items()
        if (device := interfaces.get(_DEVICE)) is not None
        and device.get("Connected")
        and device["Address"].lower() not in taken
        and target.matches(str(device.get("Alias", "")), device["Address"], device.get("UUIDs", []))
        and not any(map(_is_subscribed, _characteristics(objects, path)))
    ]


def _characteristics(objects: Objects, device: str) -> list[Mapping[str, Any]]:
    below = f"{device}/"
    return [
        found
        for path, interfaces in objects.items()
        if path.startswith(below) and (found := interfaces.get(_CHARACTERISTIC)) is not None
    ]


def _is_subscribed(characteristic: Mapping[str, Any]) -> bool:
    return bool(characteristic.get("Notifying") or characteristic.get("NotifyAcquired"))


async def _ask(bus: Any, path: str, interface: str, member: str) -> list[Any]:
    message = require("dbus_fast", extra="ble").Message(
        destination="org.bluez", path=path, interface=interface, member=member
    )
    reply = await asyncio.wait_for(bus.call(message), _CALL_S)
    return [] if reply.error_name else list(reply.body)

"""org.bluez.Agent1 on the bus: yes to Just Works, and to nothing that a person would have to read or type.

Methods that are not here are refused by the bus, and with them the pairing that needs them. dbus-fast reads D-Bus
signatures from the annotations, so this file has no `from __future__ import annotations`.
"""

from dbus_fast.annotations import DBusObjectPath, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method


class AgentObject(ServiceInterface):
    """Agrees."""

    def __init__(self) -> None:
        super().__init__("org.bluez.Agent1")

    @dbus_method()
    def Release(self) -> None:  # noqa: N802  names of the bus
        """BlueZ has no more use for it."""

    @dbus_method()
    def RequestConfirmation(self, device: DBusObjectPath, passkey: DBusUInt32) -> None:  # noqa: N802
        """Just Works with a number that nobody can compare."""

    @dbus_method()
    def RequestAuthorization(self, device: DBusObjectPath) -> None:  # noqa: N802
        """Just Works, begun by the other side."""

    @dbus_method()
    def AuthorizeService(self, device: DBusObjectPath, uuid: DBusStr) -> None:  # noqa: N802
        """A bonded device uses a service."""

    @dbus_method()
    def Cancel(self) -> None:  # noqa: N802
        """The pairing ended early."""

"""The link layer between bumble's controllers in one process."""

from __future__ import annotations

import asyncio
from typing import Any

from edge_mi.optional import require


def virtual_air() -> Any:
    """A `LocalLink` through which BlueZ can be connected as well.

    bumble 0.0.236 stamps ACL data with the sender's random address, whatever address the connection was made with; BlueZ
    scans under a private one and connects under its public one, so that the other side would drop everything.
    """
    local = require("bumble.link", extra="emulate").LocalLink

    class Air(local):  # type: ignore[misc, valid-type]  # bumble is loaded on use
        def send_acl_data(self, sender: Any, destination: Any, transport: Any, data: bytes) -> None:
            connection = sender.le_connections.get(destination)
            receiver = self.find_le_controller(destination)
            if connection is None or receiver is None:
                super().send_acl_data(sender, destination, transport, data)
                return
            asyncio.get_running_loop().call_soon(
                receiver.on_link_acl_data, connection.self_address, transport, data
            )

    return Air()

"""What a real BlueZ taught (`make ble-vm`), as far as it can be tested without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.firmware_bridge.emulator.air import KernelAir
from edge_mi.firmware_bridge.left_links import left_links
from edge_mi.firmware_bridge.polar_pmd import DATA
from edge_mi.firmware_bridge.radio import Connection, Radio, Timeouts
from edge_mi.firmware_bridge.target import target_of
from patches import ADDRESS, codes, emulated, listen

DEVICE = "/org/bluez/hci0/dev_F0_F1_F2_F3_F4_F5"
HEART_RATE = "0000180d-0000-1000-8000-00805f9b34fb"


def objects(*, connected: bool = True, **characteristic: bool) -> dict[str, Any]:
    """What BlueZ's object manager says of an H10 with one characteristic, beside an adapter and somebody's keyboard."""
    return {
        "/org/bluez/hci0": {"org.bluez.Adapter1": {"Powered": True}},
        "/org/bluez/hci0/dev_1": {
            "org.bluez.Device1": {"Address": "00:00:00:00:00:01", "Alias": "Keyboard", "Connected": True}
        },
        DEVICE: {
            "org.bluez.Device1": {
                "Address": ADDRESS,
                "Alias": "Polar H10 EDGE0001",
                "Connected": connected,
                "UUIDs": [HEART_RATE],
            }
        },
        f"{DEVICE}/service0010/char0011": {"org.bluez.GattCharacteristic1": characteristic},
    }


def test_a_link_that_a_killed_program_left_is_found_however_the_patch_is_named() -> None:
    for text in ("polar", ADDRESS.lower(), HEART_RATE):
        assert left_links(objects(Notifying=False), target_of(text), []) == [DEVICE]
    assert left_links(objects(), target_of("polar"), []) == [DEVICE]


def test_a_link_that_somebody_uses_is_left_alone() -> None:
    for used in ({"Notifying": True}, {"NotifyAcquired": True}):
        assert left_links(objects(**used), target_of("polar"), []) == []
    assert left_links(objects(), target_of("polar"), [ADDRESS]) == []


def test_what_is_not_meant_not_allowed_or_not_connected_is_no_left_link() -> None:
    assert left_links(objects(), target_of("Movesense"), []) == []
    assert left_links(objects(), target_of("polar", ["00:00:00:00:00:01"]), []) == []
    assert left_links(objects(connected=False), target_of("polar"), []) == []


async def test_a_radio_knows_which_links_are_its_own(tmp_path: Path) -> None:
    async with (
        emulated(tmp_path / "hci", np.arange(73), repeat=True),
        Radio(link=f"unix:{tmp_path / 'hci'}") as radio,
    ):
        found = await radio.find(target_of("polar"), 5)
        connection = radio.connection(found, Timeouts(), lambda: None)
        await connection.open()
        assert radio.held == {ADDRESS}
        await connection.close()
        assert radio.held == set()


async def test_an_h10_is_found_by_the_service_that_it_advertises(tmp_path: Path) -> None:
    """It says 180d in 16 bits, which leaves room for its name in the same packet."""
    samples = np.arange(3 * 73)
    async with emulated(tmp_path / "hci", samples):
        items, _ = await listen(tmp_path / "hci", HEART_RATE)
    assert np.array_equal(codes(items), samples)


class _NoKernel:
    """Both ends of the HCI of a kernel that is not here."""

    def on_packet(self, packet: bytes) -> None:
        """Nobody takes it."""

    def set_packet_sink(self, sink: Any) -> None:
        """Nothing comes from it."""

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def kernel_air(monkeypatch: pytest.MonkeyPatch) -> KernelAir:
    from bumble.transport.common import Transport

    async def opened(_: str) -> Any:
        return Transport(_NoKernel(), _NoKernel())  # type: ignore[arg-type]

    monkeypatch.setattr("edge_mi.firmware_bridge.emulator.air._open", opened)
    return KernelAir()


def kernels(air: KernelAir) -> list[Any]:
    """The controllers in this air that are the kernel's adapter."""
    source, _ = air.hci("patch")
    source.link.remove_controller(source)
    return [each for each in source.link.controllers if each.name == "kernel"]


async def test_an_adapter_that_is_pulled_out_and_put_back_is_one_adapter(kernel_air: KernelAir) -> None:
    """A second controller with the address of the first would get none of its packets."""
    for _ in range(2):
        async with kernel_air:
            assert len(kernels(kernel_air)) == 1
        assert kernels(kernel_air) == []


async def test_the_kernel_is_offered_only_what_the_emulated_adapter_does(kernel_air: KernelAir) -> None:
    """With LL privacy Linux waits for an event that never comes, and a link that is closed meanwhile stays open."""
    from bumble.hci import LeFeatureMask

    async with kernel_air:
        features = kernels(kernel_air)[0].le_features
    assert not features & (LeFeatureMask.LL_PRIVACY | LeFeatureMask.LE_EXTENDED_ADVERTISING)
    assert features & LeFeatureMask.LE_ENCRYPTION


@pytest.mark.parametrize("missing", [None, DATA])
async def test_a_patch_of_which_half_was_found_at_first_is_connected_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str | None
) -> None:
    """BlueZ once gave a patch without its data characteristic, and could give one without any service."""
    opened, has, seen = Connection.open, Connection.has, list[Connection]()

    async def open_half(connection: Connection) -> None:
        await opened(connection)
        seen.append(connection)
        if missing is None and len(seen) == 1:
            connection.services = frozenset()

    def has_half(connection: Connection, characteristic: str) -> bool:
        return has(connection, characteristic) and not (connection is seen[0] and characteristic == missing)

    monkeypatch.setattr(Connection, "open", open_half)
    monkeypatch.setattr(Connection, "has", has_half)
    async with emulated(tmp_path / "hci", np.arange(73 * 20)):
        items, _ = await listen(tmp_path / "hci")
    assert np.array_equal(codes(items), np.arange(73 * 20))
    assert len(seen) == 2

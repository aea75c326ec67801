"""An encrypted link: demanded by the patch or by the user, given or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bumble.pairing import PairingConfig, PairingDelegate
from edge_mi.firmware_bridge.client import Choices
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.polar_pmd import START_ECG
from edge_mi.firmware_bridge.radio import Timeouts
from patches import codes, listen
from virtual_time import in_virtual_time, now_s
from worn import ramp, worn

from edge_mi.errors import PatchError
from edge_mi.samples import Item

PATIENCE: dict[str, Any] = {"timeouts": Timeouts(), "patience": Patience()}
ENCRYPT = Choices(encrypt=True)


class Refusing(PairingDelegate):
    """A patch that pairs with nobody."""

    async def accept(self) -> bool:
        return False


def refuse_to_pair(patch: Peripheral) -> None:
    patch.device.pairing_config_factory = lambda _: PairingConfig(delegate=Refusing())


async def encrypted_while_heard(
    path: Path, patch: Peripheral, **options: Any
) -> tuple[list[Item], list[bool]]:
    """All items, and whether the patch's link was encrypted when somebody wrote to it."""
    seen: list[bool] = []
    written = patch.patch.written

    def watched(*args: Any) -> Any:
        seen.extend(each.is_encrypted for each in patch.device.connections.values())
        return written(*args)

    patch.patch.written = watched  # type: ignore[method-assign]
    items, _ = await listen(path, **options, **PATIENCE)
    return items, seen


@in_virtual_time
async def test_a_patch_that_demands_pairing_streams_over_an_encrypted_link(tmp_path: Path) -> None:
    async with worn(tmp_path / "hci", ramp(1000), pairing=True) as patch:
        items, seen = await encrypted_while_heard(tmp_path / "hci", patch, choices=ENCRYPT)
    assert np.array_equal(codes(items), ramp(1000))
    assert seen
    assert all(seen)


@in_virtual_time
async def test_whoever_wants_an_encrypted_link_gets_one_from_a_patch_that_does_not(tmp_path: Path) -> None:
    async with worn(tmp_path / "hci", ramp(1000)) as patch:
        items, seen = await encrypted_while_heard(tmp_path / "hci", patch, choices=ENCRYPT)
    assert np.array_equal(codes(items), ramp(1000))
    assert all(seen)


@in_virtual_time
async def test_nobody_pairs_where_nobody_wants_it(tmp_path: Path) -> None:
    async with worn(tmp_path / "hci", ramp(1000)) as patch:
        _, seen = await encrypted_while_heard(tmp_path / "hci", patch)
    assert seen
    assert not any(seen)


@pytest.mark.parametrize(("profile", "name"), [("h10", "Polar"), ("edgemi", "EdgeMI")])
@in_virtual_time
async def test_a_patch_that_does_not_pair_is_refused_in_one_line(
    tmp_path: Path, profile: str, name: str
) -> None:
    async with worn(tmp_path / "hci", ramp(1000), profile=profile) as patch:
        refuse_to_pair(patch)
        with pytest.raises(
            PatchError, match=r"^the link cannot be encrypted \(.+\): pair the patch in"
        ) as error:
            await listen(tmp_path / "hci", name, choices=ENCRYPT, **PATIENCE)
        assert "\n" not in str(error.value)
        assert START_ECG not in patch.commands
        assert not patch.patch.measuring
        assert now_s() < 60


@in_virtual_time
async def test_a_patch_that_demands_what_nobody_wanted_is_given_up_with_its_reason(tmp_path: Path) -> None:
    async with worn(tmp_path / "hci", ramp(1000), pairing=True) as patch:
        with pytest.raises(PatchError, match=r"^the \w+ failed: INSUFFICIENT_\w+: ask for .* --encrypt$"):
            await listen(tmp_path / "hci", **PATIENCE)
        assert not patch.patch.measuring

"""What a patch says of its electrodes and its battery, from the air to the user and the detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_mi.firmware_bridge.emulator.fault_plan import Fault
from patches import listen
from virtual_time import in_virtual_time
from worn import ramp, worn

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.detector import Detector
from edge_mi.samples import Chunk, Item
from edge_mi.shipped import shipped_bundle

RATE_HZ = 250  # of the EdgeMI Patch
OFF = "the electrodes are off: nothing is judged until they are on"
ON = "the electrodes are on again"


def contact(at_s: float, *, on: bool) -> Fault:
    return Fault(kind="contact", at_s=at_s, on=on)


def contact_at(items: list[Item], t_s: float) -> bool | None:
    return next(
        each.contact
        for each in items
        if isinstance(each, Chunk) and each.t_s <= t_s < each.t_s + len(each.samples_mv) / each.rate_hz
    )


@in_virtual_time
async def test_every_loss_of_contact_is_told_once_and_every_chunk_says_what_it_is(tmp_path: Path) -> None:
    events: list[str] = []
    fault = (contact(5, on=False), contact(10, on=True), contact(12, on=True), contact(15, on=False))
    async with worn(tmp_path / "hci", ramp(20 * RATE_HZ), profile="edgemi", fault=fault):
        items, statistics = await listen(tmp_path / "hci", "EdgeMI", events=events)
    assert [event for event in events if "electrodes" in event] == [OFF, ON, OFF]
    assert statistics.contact_losses == 2
    assert [contact_at(items, t_s) for t_s in (1, 4.5, 5.5, 9.5, 10.5, 14.5, 15.5, 19)] == [
        True, True, False, False, True, True, False, False,
    ]  # fmt: skip


@in_virtual_time
async def test_a_loss_of_contact_is_the_same_loss_after_a_reconnection(tmp_path: Path) -> None:
    events: list[str] = []
    fault = (contact(5, on=False), Fault(kind="disconnect", at_s=8, for_s=1), contact(15, on=True))
    async with worn(tmp_path / "hci", ramp(20 * RATE_HZ), profile="edgemi", fault=fault):
        items, statistics = await listen(tmp_path / "hci", "EdgeMI", events=events)
    assert statistics.reconnects == 1
    assert [event for event in events if "electrodes" in event] == [OFF, ON]
    assert statistics.contact_losses == 1
    assert contact_at(items, items[-1].t_s) is True


@in_virtual_time
async def test_the_detector_says_lead_off_for_as_long_as_the_electrodes_are(tmp_path: Path) -> None:
    heart = synthetic.ecg(60, rate_hz=RATE_HZ, territory="inferior", seed=3).lead("I")
    codes = np.rint(heart * 200).astype(np.int64)
    fault = (contact(25, on=False), contact(35, on=True))
    async with worn(tmp_path / "hci", codes, profile="edgemi", fault=fault):
        items, _ = await listen(tmp_path / "hci", "EdgeMI")
    decisions = list(Detector(Bundle.load(shipped_bundle())).stream(items))
    reasons = {round(each.t_s): each.reason for each in decisions}
    assert {reasons[t_s] for t_s in range(27, 35)} == {"lead_off"}
    assert reasons[20] is None
    window_s = 12  # after it no window reaches back to the loss
    assert {reasons[t_s] for t_s in range(35 + window_s, 60)} == {None}
    assert {each.reason for each in decisions if each.t_s < 24.5} == {None, "warming_up"}


@pytest.mark.parametrize(("profile", "name"), [("h10", "Polar H10"), ("edgemi", "EdgeMI")])
@in_virtual_time
async def test_a_battery_that_falls_is_told_once(tmp_path: Path, profile: str, name: str) -> None:
    events: list[str] = []
    fault = tuple(Fault(kind="battery", at_s=at_s, percent=percent) for at_s, percent in
                  ((3, 16), (5, 15), (7, 14), (9, 3)))  # fmt: skip
    async with worn(tmp_path / "hci", ramp(4000), profile=profile, fault=fault):
        _, statistics = await listen(tmp_path / "hci", name, events=events)
    assert [event for event in events if "battery" in event] == ["the patch's battery has 15 % left"]
    assert statistics.battery_percent == 3


@in_virtual_time
async def test_a_battery_that_is_low_at_the_start_is_told(tmp_path: Path) -> None:
    events: list[str] = []
    async with worn(tmp_path / "hci", ramp(400), battery_percent=9):
        await listen(tmp_path / "hci", events=events)
    assert events.count("the patch's battery has 9 % left") == 1

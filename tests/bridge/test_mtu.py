"""Every size of packet that a link can have: no wrong sample, and none that is missing without a word."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.firmware_bridge.emulator.fault_plan import MTU_LIMITS, FaultPlan
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.profile import Wishes
from edge_mi.firmware_bridge.profiles import PROFILES
from edge_mi.firmware_bridge.radio import Timeouts
from edge_mi.firmware_bridge.receiver import Heard, Output, Receiver, Said
from edge_mi.firmware_bridge.session import Refused, Write
from edge_mi.firmware_bridge.statistics import StreamStatistics
from patches import codes, listen, patch_stream
from virtual_time import in_virtual_time
from worn import ramp, worn

from edge_mi.errors import PatchError
from edge_mi.samples import Chunk, Item

EVERY_MTU = range(MTU_LIMITS[0], MTU_LIMITS[1] + 1)
SECONDS = 4
PRODUCTION: dict[str, Any] = {"timeouts": Timeouts(), "patience": Patience()}


@dataclass
class Link:
    """A patch and its receiver, with nothing between them but a link that cuts whatever is longer than its packets."""

    profile: str
    mtu: int
    careless: bool = False
    items: list[Item] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    refusal: str = ""

    def __post_init__(self) -> None:
        profile, plan = PROFILES[self.profile], FaultPlan(careless=self.careless)
        self.patch = PATCHES[self.profile](plan)
        n = self.patch.samples_in_packet(self.mtu)
        self.sent = ramp(int(SECONDS * self.patch.rate_hz / n) * n)  # no packet is shorter than the others
        sensor = EmulatedSensor(self.patch, self.sent, plan)
        self.statistics = StreamStatistics()
        self.receiver = Receiver(partial(profile.next_session, Wishes()), self.statistics)
        self.state, self.now_s = sensor.state, 0.0
        for characteristic in profile.subscribe:
            self.patch.subscribed(characteristic, on=True)
        self._take(self.receiver.begin(self.mtu - 3 if self.mtu < profile.needed_mtu else None))
        while self.patch.measuring and not self.refusal:
            packet = sensor.next_packet(self.mtu)
            self.now_s = packet.due_s
            self._send(packet.sends)

    def _send(self, sends: Any) -> None:
        for each in sends:
            self._take(self.receiver.receive(each.characteristic, each.data[: self.mtu - 3], self.now_s))

    def _take(self, outputs: Any) -> None:
        output: Output
        for output in outputs:
            match output:
                case Write():
                    self._send(self.patch.written(output.characteristic, output.data, self.mtu, self.state))
                case Refused():
                    self.refusal = output.reason
                case Heard():
                    self.items.append(output.item)
                case Said():
                    self.said.append(output.words)

    def assert_honest(self) -> None:
        """Every sample that was delivered is what the sensor made at that place; what was not is in gaps."""
        total = 0
        for item in self.items:
            if isinstance(item, Chunk):
                n = len(item.samples_mv)
                assert item.index == total
                found = np.rint(item.samples_mv * self.patch.codes_per_mv)
                assert np.array_equal(found, self.sent[total : total + n])
                total += n
            else:
                assert item.n_samples is not None
                total += item.n_samples
        assert total in (0, len(self.sent))

    @property
    def is_whole(self) -> bool:
        """Whether all came, and nobody had to say anything."""
        delivered = [each for each in self.items if isinstance(each, Chunk)]
        return len(delivered) == len(self.items) > 0 and not self.said and not self.refusal


def whole_from(profile: str, *, careless: bool = False) -> int:
    """The smallest MTU from which on everything arrives; below it nothing does, for reasons that are told."""
    whole = {}
    for mtu in EVERY_MTU:
        link = Link(profile, mtu, careless=careless)
        link.assert_honest()
        whole[mtu] = link.is_whole
        if not link.is_whole:
            assert not link.items
            assert link.refusal or "cut" in link.said[0] or "sends 8 to 32 samples" in link.said[0]
    first = min(mtu for mtu in EVERY_MTU if whole[mtu])
    assert all(whole[mtu] == (mtu >= first) for mtu in EVERY_MTU)
    return first


def test_an_h10_that_refuses_small_packets_says_so() -> None:
    assert whole_from("h10") == 232
    assert "MTU of 232" in Link("h10", 231).refusal


def test_an_h10_that_cuts_its_frames_is_never_believed() -> None:
    assert whole_from("h10", careless=True) == 232


def test_a_movesense_that_cuts_its_frames_is_never_believed() -> None:
    assert whole_from("movesense") == PROFILES["movesense"].needed_mtu == 73


def test_an_edgemi_patch_fits_its_packets_to_every_link() -> None:
    assert whole_from("edgemi") == 23


def test_a_healthypi_that_cuts_its_frames_is_never_believed() -> None:
    # packets of 64 bytes just fit an MTU of 67, where nobody can tell them from longer ones that were cut
    assert whole_from("healthypi-move") == 68


@pytest.mark.parametrize("mtu", [23, 52, 100, 185, 229, 231])
@in_virtual_time
async def test_over_the_air_a_cut_stream_is_told_and_refused(tmp_path: Path, mtu: int) -> None:
    events: list[str] = []
    async with worn(tmp_path / "hci", ramp(100 * 130), mtu=mtu, careless=True) as patch:
        with pytest.raises(PatchError, match="no frame that can be read"):
            await listen(tmp_path / "hci", events=events, **PRODUCTION)
        assert not patch.patch.measuring
    assert events[0].startswith(f"the link's MTU is {mtu}; Polar H10 needs 232")
    assert any("such frames are counted and left out" in event for event in events)


@pytest.mark.parametrize(
    ("profile", "name", "mtu"),
    [
        *(("h10", "Polar", mtu) for mtu in (232, 247, 517)),
        *(("movesense", "Movesense", mtu) for mtu in (73, 161)),
        *(("edgemi", "EdgeMI", mtu) for mtu in (23, 24, 185, 517)),
    ],
)
@in_virtual_time
async def test_over_the_air_every_sample_arrives_once(
    tmp_path: Path, profile: str, name: str, mtu: int
) -> None:
    events: list[str] = []
    async with worn(tmp_path / "hci", ramp(4000), profile=profile, mtu=mtu) as patch:
        items: list[Item] = []
        async with patch_stream(tmp_path / "hci", name, on_event=events.append, **PRODUCTION) as stream:
            async for item in stream:
                items.append(item)
                if stream.statistics.samples == 4000:
                    break
        assert np.array_equal(codes(items, patch.patch.codes_per_mv), ramp(4000))
    assert not any("MTU" in event for event in events)

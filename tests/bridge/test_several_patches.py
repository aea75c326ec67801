"""Eight patches on one radio, one fault each: whoever fails does not touch the others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
from edge_mi.firmware_bridge.client import PatchStream
from edge_mi.firmware_bridge.emulator.fault_plan import Fault, FaultPlan
from edge_mi.firmware_bridge.emulator.h10 import H10
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.emulator.socket_air import SocketAir
from edge_mi.firmware_bridge.life import State
from edge_mi.firmware_bridge.radio import Radio
from edge_mi.firmware_bridge.target import target_of
from patches import PATIENT, QUICK

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.decision import Decision
from edge_mi.detector import Detector
from edge_mi.errors import PatchError
from edge_mi.shipped import shipped_bundle
from edge_mi.sources import chunks_of

N = 73
AWAY_S = 4 * N / 130
FAULTS: dict[str, FaultPlan] = {
    "none": FaultPlan(),
    "drop": FaultPlan(fault=(Fault(kind="drop", at_s=10.0, packets=2),)),
    "duplicate": FaultPlan(fault=(Fault(kind="duplicate", at_s=10.0, packets=5),)),
    "truncate": FaultPlan(fault=(Fault(kind="truncate", at_s=10.0, keep_bytes=96),)),
    "disconnect": FaultPlan(fault=(Fault(kind="disconnect", at_s=10.0, for_s=AWAY_S),)),
    "clock_jump": FaultPlan(fault=(Fault(kind="clock_jump", at_s=10.0, by_s=-500.0),)),
    "refuse": FaultPlan(refuse=13),
    "reset": FaultPlan(fault=(Fault(kind="reset", at_s=10.0, for_s=AWAY_S),)),
}


class Strap(H10):
    """An H10 with a name of its own."""

    def __init__(self, name: str, refuse: int) -> None:
        super().__init__(refuse=refuse or None)
        self.name = f"Polar H10 {name}"


async def judge(stream: PatchStream, detector: Detector) -> list[Decision]:
    async with stream:
        return [decision async for decision in detector.astream(stream)]


async def test_eight_patches_with_a_fault_each(tmp_path: Path) -> None:
    heart = np.rint(synthetic.ecg(40, rate_hz=130, territory="inferior", seed=3).lead("I") * 1000)
    codes = heart.astype(np.int64)
    bundle = Bundle.load(shipped_bundle())
    alone = list(Detector(bundle).stream(chunks_of(codes / 1000, 130)))
    patches: dict[str, Peripheral] = {}
    async with SocketAir(tmp_path / "hci") as air, Radio(link=f"unix:{tmp_path / 'hci'}") as radio:
        for i, (name, plan) in enumerate(FAULTS.items()):
            sensor = EmulatedSensor(Strap(name, plan.refuse), codes, plan)
            patches[name] = Peripheral(*air.hci(name), sensor, address=f"F0:F1:F2:F3:F4:0{i}", speed=0)
            await patches[name].start()
        streams = {
            name: PatchStream(radio, target_of(f"Polar H10 {name}"), timeouts=QUICK, patience=PATIENT)
            for name in FAULTS
        }
        found: list[Any] = await asyncio.gather(
            *(judge(stream, Detector(bundle)) for stream in streams.values()), return_exceptions=True
        )
    decisions = dict(zip(streams, found, strict=True))
    statistics = {name: stream.statistics for name, stream in streams.items()}

    refused = decisions.pop("refuse")
    assert isinstance(refused, PatchError)
    assert "charger" in str(refused)
    assert all(isinstance(each, list) for each in decisions.values())
    assert decisions["none"] == decisions["duplicate"] == alone
    assert statistics["duplicate"].duplicate_frames == 5
    for name in ("drop", "truncate", "disconnect"):
        # before the fault nothing differs, and nothing is judged across it
        assert decisions[name][:5] == alone[:5]
        assert [d.reason for d in decisions[name]].count("gap") > 0
    assert statistics["drop"].samples_lost == 2 * N
    assert (statistics["truncate"].bad_frames, statistics["truncate"].samples_lost) == (1, N)
    assert (statistics["disconnect"].reconnects, statistics["disconnect"].gaps) == (1, 1)
    assert (statistics["clock_jump"].restarts, statistics["reset"].restarts) == (1, 1)
    for name in set(FAULTS) - {"refuse"}:
        assert streams[name].state is State.ENDED
        assert not patches[name].patch.measuring

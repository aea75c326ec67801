"""A receiver of the real Lab Streaming Layer hears what the patch sent; skips without its library."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from air import PATIENCE_S, Made, in_the_air, start
from edge_mi.firmware_bridge.emulator.fault_plan import Fault
from edge_mi.firmware_bridge.lsl import LslOutlets, load_lsl
from edge_mi.firmware_bridge.polar_pmd import STOP_ECG
from patches import emulated, patch_stream

from edge_mi.decision import Decision
from edge_mi.errors import ConfigError, MissingDependency
from edge_mi.notice import NOTICE
from edge_mi.samples import Chunk

WAIT_S = 30.0
SETTINGS = "[log]\nlevel = -3\n[multicast]\nResolveScope = machine\n[lab]\nSessionID = edge-mi-tests-{pid}\n"
SAMPLES = np.arange(73 * 60) - 2000  # each value once


@pytest.fixture(scope="module")
def lsl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """pylsl, heard on this machine and by these tests alone."""
    settings = tmp_path_factory.mktemp("lsl") / "lsl_api.cfg"
    settings.write_text(SETTINGS.format(pid=os.getpid()))
    os.environ["LSLAPICFG"] = str(settings)
    try:
        yield load_lsl()
    except (MissingDependency, ConfigError) as exc:
        pytest.skip(str(exc))
    finally:
        del os.environ["LSLAPICFG"]


class Receiver:
    """An inlet and what came through it."""

    def __init__(self, lsl: Any, kind: str) -> None:
        (found,) = lsl.resolve_byprop("type", kind, 1, WAIT_S)
        self._inlet = lsl.StreamInlet(found)
        self._inlet.open_stream(WAIT_S)
        self.values: list[Any] = []
        self.times_s: list[float] = []

    @property
    def info(self) -> Any:
        return self._inlet.info(WAIT_S)

    def pull(self, wait_s: float) -> None:
        values, times_s = self._inlet.pull_chunk(wait_s, 1 << 16)
        self.values += [each[0] for each in values]
        self.times_s += times_s


def listened(lsl: Any, receiver: Receiver, enough: Any) -> None:
    """Pull until there is enough of it."""
    until_s = lsl.local_clock() + WAIT_S
    while not enough(receiver) and lsl.local_clock() < until_s:
        receiver.pull(0.1)
    assert enough(receiver)


def test_lsls_clock_is_this_machines_up_to_a_constant(lsl: Any) -> None:
    import time

    def offset() -> tuple[float, float]:
        before_s, lsl_s, after_s = time.monotonic(), lsl.local_clock(), time.monotonic()
        return lsl_s - after_s, lsl_s - before_s

    readings = [offset() for _ in range(1000)]
    assert max(low for low, _ in readings) <= min(high for _, high in readings)


async def test_a_receiver_gets_every_sample_at_its_time_and_what_happened(lsl: Any, tmp_path: Path) -> None:
    began_s = lsl.local_clock()
    lost = (Fault(kind="drop", at_s=20.0),)
    async with emulated(tmp_path / "hci", SAMPLES, fault=lost), patch_stream(tmp_path / "hci") as stream:
        heard = [each async for each in stream.heard()]
    with LslOutlets(stream, "lead-i") as outlets:
        pushed = iter(heard)
        outlets.push(next(pushed))
        ecg, events = await asyncio.gather(
            asyncio.to_thread(Receiver, lsl, "ECG"), asyncio.to_thread(Receiver, lsl, "Markers")
        )
        # what is sent before a receiver is served is not for it: push until it hears something
        while not ecg.values:
            outlets.push(next(pushed))
            ecg.pull(1.0)
        for each in pushed:
            outlets.push(each)
        outlets.decisions([decision("alarm")])
        sent = np.concatenate([each.item.samples_mv for each in heard if isinstance(each.item, Chunk)])
        sent = sent.astype(np.float32)
        listened(lsl, ecg, lambda it: it.values[-1] == sent[-1])
        listened(lsl, events, lambda it: "alarm" in it.values)
        info = ecg.info
    assert len(sent) == len(SAMPLES) - 73
    assert len(ecg.values) > len(sent) // 2
    assert np.array_equal(np.array(ecg.values, dtype=np.float32), sent[-len(ecg.values) :])
    assert np.all(np.diff(ecg.times_s) > 0)
    # a frame came when its last sample had been taken: the first of them began before the stream did
    assert began_s - 1 < ecg.times_s[0] < ecg.times_s[-1] <= lsl.local_clock()
    assert events.values[-4:] == ["gap 73 samples, lost", "model m", "alarm on", "alarm"]
    described = info.desc()
    channel = described.child("channels").child("channel")
    assert [channel.child_value(each) for each in ("label", "unit", "type")] == [
        "lead I",
        "millivolts",
        "ECG",
    ]
    assert described.child("acquisition").child_value("manufacturer") == "Polar"
    assert described.child_value("notice") == NOTICE
    assert (info.name(), info.nominal_srate()) == ("EdgeMI ECG (Polar H10 EDGE0001)", 130)
    assert "F0:F1:F2" not in info.as_xml()


@pytest.mark.parametrize("words", [["stream", "--placement", "lead-i"], ["record", "kept"]])
def test_the_program_publishes_what_it_hears_until_it_is_stopped(
    words: list[str], lsl: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with in_the_air(tmp_path / "hci", Made(codes=SAMPLES, repeat=True, speed=20)) as (patch,):
        process = start(*words, "--device", "Polar H10", "--link", f"unix:{tmp_path / 'hci'}", "--lsl")
        ecg = Receiver(lsl, "ECG")
        listened(lsl, ecg, lambda it: len(it.values) > 2000)
        label = ecg.info.desc().child("channels").child("channel").child_value("label")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        assert patch.commands[-1] == STOP_ECG
    assert all(line.startswith("edge-mi: ") for line in err.splitlines()), err
    steps = np.diff(np.rint(np.array(ecg.values) * 1000)) % len(SAMPLES)
    assert np.all(steps == 1)
    assert label == {"stream": "lead I", "record": "chest"}[words[0]]


def decision(state: Any) -> Decision:
    return Decision(
        t_s=30.0, probability=0.9, state=state, reason=None, quality=None, heart_rate_bpm=None, model_id="m"
    )


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(MissingDependency, match=r"pip install '\.\[lsl\]'"):
        load_lsl()


def test_without_the_library_of_the_system_its_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pylsl.py").write_text("raise RuntimeError('LSL binary library file was not found.')")
    monkeypatch.delitem(sys.modules, "pylsl", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="install liblsl and set PYLSL_LIB"):
        load_lsl()

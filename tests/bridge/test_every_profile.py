"""Each kind of patch through the same client: all samples, its grade, its end, and a lost link."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_mi.firmware_bridge.client import Choices
from edge_mi.firmware_bridge.emulator.fault_plan import NO_FAULTS, Fault
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.profiles import PROFILES, profile_named, profiles_for
from patches import codes, emulated, listen, patch_stream

from edge_mi.errors import ConfigError, PatchError
from edge_mi.samples import Chunk, Gap

STREAMED = {  # profile -> name to find it by, samples of a packet, grade
    "h10": ("Polar H10", 73, "stamp"),
    "movesense": ("Movesense", 16, "stamp"),
    "healthypi-move": ("HealthyPi Move", 16, "none"),
    "healthypi4": ("Healthypi", 9, "none"),
    "edgemi": ("EdgeMI", 62, "counter"),
}


def ramp(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64) % 16_000


def codes_per_mv(profile: str) -> float:
    return PATCHES[profile](NO_FAULTS).codes_per_mv


@pytest.mark.parametrize("profile", STREAMED)
async def test_every_sample_arrives_once(tmp_path: Path, profile: str) -> None:
    name, n, grade = STREAMED[profile]
    async with emulated(tmp_path / "hci", ramp(200 * n), profile=profile) as patch:
        heard = []
        async with patch_stream(tmp_path / "hci", name) as stream:
            async for item in stream:
                heard.append(item)
                if sum(len(each.samples_mv) for each in heard if isinstance(each, Chunk)) == 200 * n:
                    break
        assert np.array_equal(codes(heard, codes_per_mv(profile)), ramp(200 * n))
        assert stream.statistics.grade == grade
        assert stream.statistics.battery_percent == 87
        assert (stream.statistics.gaps, stream.statistics.bad_frames) == (0, 0)
        assert not patch.patch.measuring


@pytest.mark.parametrize("profile", STREAMED)
async def test_a_lost_link_is_a_gap_as_well_known_as_the_patch_allows(tmp_path: Path, profile: str) -> None:
    name, n, grade = STREAMED[profile]
    away_s = 2.0
    fault = (Fault(kind="disconnect", at_s=3.0, for_s=away_s),)
    async with emulated(tmp_path / "hci", ramp(400 * n), profile=profile, fault=fault) as patch:
        heard = []
        async with patch_stream(tmp_path / "hci", name) as stream:
            async for item in stream:
                heard.append(item)
                if any(isinstance(each, Gap) for each in heard) and isinstance(item, Chunk):
                    break
        made_hz = patch.patch.rate_hz
    gap = next(item for item in heard if isinstance(item, Gap))
    assert gap.cause == "link_lost"
    assert gap.n_samples == (None if grade == "none" else pytest.approx(away_s * made_hz, abs=1))
    assert stream.statistics.reconnects == 1


async def test_a_healthypi_5_is_refused_with_the_reason_unless_the_user_knows_its_firmware(
    tmp_path: Path,
) -> None:
    async with emulated(tmp_path / "hci", ramp(800), profile="healthypi5", repeat=True):
        with pytest.raises(PatchError, match="leaves out every ninth sample"):
            await listen(tmp_path / "hci", "healthypi 5")
        async with patch_stream(
            tmp_path / "hci", "healthypi 5", choices=Choices(profile=PROFILES["healthypi5-fw1"])
        ) as stream:
            async for item in stream:
                assert isinstance(item, Chunk)
                break


def test_a_name_tells_layouts_apart_that_share_their_service() -> None:
    service = PROFILES["healthypi-move"].service
    assert [each.key for each in profiles_for("HealthyPi Move", [service])] == ["healthypi-move"]
    assert len(profiles_for("somebody", [service])) == 4
    assert [each.key for each in profiles_for("somebody", [PROFILES["h10"].service])] == ["h10"]
    assert profiles_for("Polar H10", ["0000180d-0000-1000-8000-00805f9b34fb"]) == []


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ConfigError, match="no profile 'h9'; there are h10, movesense"):
        profile_named("h9")

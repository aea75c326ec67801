"""The streams of `make fuzz` get somewhere: a fuzzer that never gets a frame through finds nothing."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.profiles import PROFILES

_FILE = Path(__file__).parents[1] / "fuzz" / "streams.py"
_INPUTS = 150
_INFO = {"edgemi-stream": bytes(2)}  # what the input decides of the answer to the start, before anything else


def load() -> Any:
    """The module, which lies where only the fuzzer looks for it."""
    spec = importlib.util.spec_from_file_location("fuzz_streams", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_streams"] = module  # dataclasses and annotations look there
    spec.loader.exec_module(module)
    return module


STREAMS: dict[str, Any] = load().STREAMS


def test_every_profile_has_one_but_the_one_that_is_always_refused() -> None:
    assert {f"{key}-stream" for key in PROFILES} - STREAMS.keys() == {"healthypi5-stream"}
    assert len(STREAMS) >= len(PATCHES)


@pytest.mark.parametrize("name", STREAMS)
def test_bytes_that_nobody_chose_make_streams_whose_frames_arrive(name: str) -> None:
    target, chance = load().STREAMS[name], random.Random(name)
    for _ in range(_INPUTS):
        target(chance.randbytes(chance.randrange(1, 80)))
    assert target.streams >= _INPUTS
    assert target.chunks > 2 * _INPUTS
    assert target.samples >= 8 * target.chunks / 2


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_is_left_alone_loses_nothing(name: str) -> None:
    """Ten runs of sixteen frames: what is not displaced by the input is a stream as a patch sends it."""
    target = load().STREAMS[name]
    target(_INFO.get(name, b"") + bytes([15 << 3, 0] * 10))
    assert (target.streams, target.chunks) == (1, 160)


@pytest.mark.parametrize("name", STREAMS)
def test_an_empty_input_and_zeros_are_inputs(name: str) -> None:
    target = load().STREAMS[name]
    target(b"")
    assert (target.streams, target.chunks) == (1, 0)
    target(_INFO.get(name, b"") + bytes(10))
    assert (target.streams, target.chunks) == (2, 5)  # a run of one frame and no delay, five times


def test_a_share_of_the_input_arrives_as_it_is() -> None:
    target = load().STREAMS["edgemi-stream"]
    target(_INFO["edgemi-stream"] + bytes([4 | 1 << 3, 200, *range(200)]))
    assert (target.streams, target.chunks) == (1, 0)

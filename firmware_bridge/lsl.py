"""Lab Streaming Layer outlets of one patch: its ECG, and what happened to it, for every receiver on the local network.

What is pushed is made in `lsl_feed.py`. Names and units: https://github.com/sccn/xdf/wiki/Meta-Data.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from edge_mi.decision import Decision
from edge_mi.detector import Placement
from edge_mi.errors import ConfigError, OutputError
from edge_mi.notice import NOTICE
from edge_mi.optional import require

from .client import PatchStream
from .lsl_feed import ClockOffset, LslFeed, Marker
from .receiver import Heard
from .recording.layout import RecordingMeta, anonymous, without_addresses

_ERRORS_ONLY: Final = "[log]\nlevel = -2\n"
_OWN_SETTINGS: Final = ("lsl_api.cfg", "~/lsl_api/lsl_api.cfg", "/etc/lsl_api/lsl_api.cfg")
_MAKERS: Final = {
    "h10": "Polar",
    "movesense": "Movesense",
    "healthypi": "ProtoCentral",
}  # by the profile's key


def load_lsl() -> Any:
    """The package pylsl, its library quiet unless the user has settings of his own.

    Raises MissingDependency without pylsl, ConfigError where pylsl finds no library of its own or of the system.
    """
    try:
        lsl = require("pylsl", extra="lsl")
    except RuntimeError as exc:
        raise ConfigError(
            "pylsl finds no liblsl that it can load: its package has none for this kind of machine; install liblsl and set "
            "PYLSL_LIB to its path (docs/bluetooth.md)"
        ) from exc
    if "LSLAPICFG" not in os.environ and not any(Path(each).expanduser().exists() for each in _OWN_SETTINGS):
        with suppress(AttributeError, NotImplementedError):  # of an older version
            lsl.set_config_content(_ERRORS_ONLY)
    return lsl


class LslOutlets:
    """Publishes what a stream hears and what the detector says of it, as a context.

    The outlets appear with the first sample. Raises as `load_lsl`, and OutputError where they cannot be opened.
    """

    def __init__(self, stream: PatchStream, placement: Placement) -> None:
        self._lsl = load_lsl()
        self._stream, self._placement = stream, placement
        self._offset = ClockOffset()
        self._feed: LslFeed | None = None
        self._signal: Any = None
        self._events: Any = None

    def __enter__(self) -> LslOutlets:
        return self

    def __exit__(self, *_: object) -> None:
        if self._feed is not None:
            self._push_markers(self._feed.end())
        self._feed = self._signal = self._events = None  # an outlet lives as long as its object

    def push(self, heard: Heard) -> None:
        """Publish a chunk or gap."""
        now_s = time.monotonic()
        if self._feed is None:
            self._feed = self._open(now_s)
        samples, markers = self._feed.item(heard.item, heard.host_s, now_s)
        if samples is not None:
            self._signal.push_chunk(samples.values_mv, list(samples.times_s + self._offset_s()))
        self._push_markers(markers)

    def decisions(self, decisions: Sequence[Decision]) -> None:
        """Publish what the detector said, where that is something new."""
        if self._feed is not None:
            for decision in decisions:
                self._push_markers(self._feed.decision(decision))

    def note(self, text: str) -> None:
        """Publish what the bridge told the user."""
        if self._feed is not None:
            self._push_markers(self._feed.note(without_addresses(text), time.monotonic()))

    def _push_markers(self, markers: Iterable[Marker]) -> None:
        for marker in markers:
            self._events.push_sample([marker.text], marker.time_s + self._offset_s())

    def _offset_s(self) -> float:
        before_s = time.monotonic()
        lsl_s = self._lsl.local_clock()
        return self._offset.read(before_s, lsl_s, time.monotonic())

    def _open(self, now_s: float) -> LslFeed:
        layout, profile = self._stream.format, self._stream.profile
        assert layout is not None, "what was heard has a format"
        assert profile is not None, "what was heard has a profile"
        source = anonymous(self._stream.device_address)
        device = without_addresses(self._stream.device_name) or source
        meta = RecordingMeta(format=layout, placement=self._placement, profile=profile.key, device=device)
        lsl = self._lsl
        signal = lsl.StreamInfo(
            f"EdgeMI ECG ({device})", "ECG", 1, layout.rate_hz, lsl.cf_float32, f"edge-mi-{source}-ecg"
        )
        channel = signal.desc().append_child("channels").append_child("channel")
        lead = meta.signal_name
        _describe(channel, label="lead I" if lead == "I" else lead, unit="millivolts", type="ECG")
        events = lsl.StreamInfo(
            f"EdgeMI events ({device})",
            "Markers",
            1,
            lsl.IRREGULAR_RATE,
            lsl.cf_string,
            f"edge-mi-{source}-events",
        )
        maker = next((name for key, name in _MAKERS.items() if profile.key.startswith(key)), None)
        for info in (signal, events):
            model = {"manufacturer": maker} if maker else {}
            _describe(info.desc().append_child("acquisition"), **model, model=profile.title)
            _describe(info.desc(), placement=meta.placement, losses_seen_by=layout.grade, notice=NOTICE)
        _describe(signal.desc().append_child("synchronization"), can_drop_samples="true")
        try:
            self._signal, self._events = lsl.StreamOutlet(signal), lsl.StreamOutlet(events)
        except RuntimeError as exc:
            raise OutputError(
                f"no Lab Streaming Layer outlet can be opened on this machine's network: {exc}"
            ) from exc
        return LslFeed(meta, now_s)


def _describe(element: Any, **values: str) -> None:
    for name, value in values.items():
        element.append_child_value(name, value)

"""Where the decisions of one stream go: a terminal or JSON lines."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any, Final

import numpy as np

from edge_mi.cli.talk import tell
from edge_mi.decision import Decision
from edge_mi.detector import Detector
from edge_mi.notice import NOTICE
from edge_mi.samples import FloatArray, Gap, Item
from edge_mi.stream_tally import StreamTally
from edge_mi.terminal import decision_line, gap_line, sparkline, summary

_SHOWN_S: Final = 6.0
_UNCHECKED: Final = {
    "trust": "polarity not checked, as you said: a lead I upside down gets a wrong answer",
    "none": "polarity not checked: this bundle has no check, and a lead I upside down gets a wrong answer",
}


class Screen:
    """Shows one stream. label: the patch's name, where there are several."""

    def __init__(self, detector: Detector, *, as_json: bool, label: str | None = None) -> None:
        self._detector = detector
        self._json, self.label = as_json, label
        self._recent: FloatArray = np.zeros(0)
        self._rate_hz = 1.0
        self.placement = detector.placement
        self.tally = StreamTally()

    def begin(self, source: str) -> None:
        """What is measured, with what; before the first decision."""
        bundle, point = self._detector.bundle, self._detector.operating_point
        if self._json:
            header = {
                "type": "header",
                "schema": 1,
                "notice": bundle.info.notice,
                "model_id": bundle.model_id,
                "prevalence": bundle.info.calibration.prevalence,
                "polarity": self._detector.polarity_check,
            }
            print(json.dumps(header | self._named(), ensure_ascii=False), flush=True)
            return
        print(NOTICE)
        print(f"\nsource   {source}")
        print(
            f"model    {bundle.model_id} on {self._detector.runner.name}, threshold {point.threshold:.3f} ({point.name})"
        )
        if self._detector.polarity_check != "check":
            print(_UNCHECKED[self._detector.polarity_check])
        print("\n     time    state         probability (| is the threshold)", flush=True)

    def tell(self, message: str) -> None:
        """A line about the link, for the person at the terminal."""
        whose = "" if self.label is None else f"{self.label}: "
        tell(whose + message)

    def take(self, item: Item, arrived_s: float | None = None) -> list[Decision]:
        """Push an item and show what it decides; `arrived_s` is the host's monotonic clock, for the latency."""
        if isinstance(item, Gap):
            self.tell(gap_line(item))
        else:
            keep = round(_SHOWN_S * item.rate_hz)
            self._rate_hz = item.rate_hz
            self._recent = np.concatenate([self._recent, item.samples_mv])[-keep:]
        return self._show(self._detector.push(item), arrived_s)

    def close(self) -> list[Decision]:
        """Show what the end of the stream decides."""
        return self._show(self._detector.close(), None)

    def _show(self, decisions: list[Decision], arrived_s: float | None) -> list[Decision]:
        for decision in decisions:
            if arrived_s is not None:
                decision = replace(decision, latency_ms=round(1000 * (time.monotonic() - arrived_s), 3))
            self.tally.add(decision)
            print(self._line(decision), flush=True)
        return decisions

    def _line(self, decision: Decision) -> str:
        if self._json:
            text = decision.to_json()
            return text if self.label is None else text[:-1] + f", {json.dumps(self._named())[1:]}"
        line = decision_line(decision, self._detector.operating_point)
        return line if self.label is None else f"{self.label:16.16} {line}"

    def _named(self) -> dict[str, str]:
        return {} if self.label is None else {"device": self.label}

    def end(self, statistics: Any = None) -> None:
        """The page at the end."""
        if statistics is not None:
            self.tell(str(statistics))
        if self._json:
            return
        if self.label is not None:
            print(f"\n{self.label}")
        trace = sparkline(self._recent[np.isfinite(self._recent)])
        if trace:
            print(f"\nthe last {len(self._recent) / self._rate_hz:.0f} s\n  {trace}")
        print(summary(self.tally, self._detector.bundle, self._detector.operating_point))

"""What several tests of the export share."""

from __future__ import annotations

import pytest
from edge_mi.export import bundle_writer
from edge_mi.export.check_windows import check_windows

from edge_mi.netspec import NetSpec
from edge_mi.samples import FloatArray
from edge_mi.signal_design import SignalDesign


@pytest.fixture
def few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what is written, not of how many windows it is compared on."""

    def few(signal: SignalDesign, net: NetSpec) -> list[FloatArray]:
        return check_windows(signal, net, net.window_s + 2 * net.hop_s)

    monkeypatch.setattr(bundle_writer, "check_windows", few)

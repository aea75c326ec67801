"""EdgeMI: patterns of myocardial infarction in lead I, on the device. Research use only.

The names below are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_mi import synthetic
    from edge_mi.bundle import Bundle
    from edge_mi.chain.chain import SignalChain
    from edge_mi.decision import Decision
    from edge_mi.detector import Detector
    from edge_mi.records import Record, read_record
    from edge_mi.samples import Chunk, Gap
    from edge_mi.shipped import shipped_bundle, shipped_checkpoint
    from edge_mi.signature import PublicKey

__all__ = [
    "Bundle",
    "Chunk",
    "Decision",
    "Detector",
    "Gap",
    "PublicKey",
    "Record",
    "SignalChain",
    "read_record",
    "shipped_bundle",
    "shipped_checkpoint",
    "synthetic",
]

_HOME = {
    "Bundle": "edge_mi.bundle",
    "Chunk": "edge_mi.samples",
    "Decision": "edge_mi.decision",
    "Detector": "edge_mi.detector",
    "Gap": "edge_mi.samples",
    "PublicKey": "edge_mi.signature",
    "Record": "edge_mi.records",
    "SignalChain": "edge_mi.chain.chain",
    "read_record": "edge_mi.records",
    "shipped_bundle": "edge_mi.shipped",
    "shipped_checkpoint": "edge_mi.shipped",
}


def __getattr__(name: str) -> Any:
    if name == "synthetic":
        return import_module("edge_mi.synthetic")
    if name not in _HOME:
        raise AttributeError(f"module 'edge_mi' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

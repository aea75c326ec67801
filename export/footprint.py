"""What a quantised network costs: bytes and multiply-accumulates of its layers, memory of its graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_mi.bundle import FRONT_TFLITE, HEAD_TFLITE, TFLITE_INT8
from edge_mi.netspec import NetSpec

from .quantise import QuantisedNet
from .tflm import smallest_arena, tflm_installed


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """Bytes of int8 weights and int32 biases, and multiply-accumulates for a whole window and for one hop."""

    name: str
    bytes: int
    macs_window: int
    macs_hop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphMemory:
    """Memory of one .tflite graph.

    activations_bytes: input and output of `peak_layer`, where the two together are largest; computed.
    arena_bytes: smallest arena in which TFLM's interpreter runs the graph, of a 64-bit build, whose structures are
    larger than a 32-bit processor's; None where the interpreter is not installed.
    """

    file: str
    file_bytes: int
    activations_bytes: int
    peak_layer: str
    arena_bytes: int | None

    @property
    def ram_bytes(self) -> int:
        """The arena, or the activations where it was not measured."""
        return self.activations_bytes if self.arena_bytes is None else self.arena_bytes


def layer_costs(net: QuantisedNet) -> tuple[LayerCost, ...]:
    """Every layer that has weights, input side first; a hop is computed without state in the layers."""
    spec = net.spec
    window, hop = (*spec.lengths, 1), (*spec.lengths_for(spec.front_samples), 1)
    return tuple(
        LayerCost(
            name=layer.name,
            bytes=layer.weight.nbytes + layer.bias.nbytes,
            macs_window=layer.weight.size * window[i],
            macs_hop=layer.weight.size * hop[i],
        )
        for i, layer in enumerate((*net.convs, net.head))
    )


def graph_memories(net: QuantisedNet, content: Mapping[str, bytes]) -> tuple[GraphMemory, ...]:
    """Whole window, front and head; `content` holds the files of the bundle."""
    spec = net.spec
    convs = [conv.name for conv in spec.convs]
    tail = [("pool", spec.features), ("head", len(spec.outputs))]
    chains = {
        TFLITE_INT8: (
            spec.window_samples,
            [*zip(convs, _sizes(spec, spec.window_samples), strict=True), *tail],
        ),
        FRONT_TFLITE: (spec.front_samples, list(zip(convs, _sizes(spec, spec.front_samples), strict=True))),
        HEAD_TFLITE: (spec.frames * spec.features, tail),
    }
    memories = []
    for file, (first, steps) in chains.items():
        peak, layer = _peak(first, steps)
        memories.append(
            GraphMemory(
                file=file,
                file_bytes=len(content[file]),
                activations_bytes=peak,
                peak_layer=layer,
                arena_bytes=smallest_arena(content[file]) if tflm_installed() else None,
            )
        )
    return tuple(memories)


def _sizes(spec: NetSpec, samples: int) -> list[int]:
    return [
        length * conv.out_channels for conv, length in zip(spec.convs, spec.lengths_for(samples), strict=True)
    ]


def _peak(first: int, steps: list[tuple[str, int]]) -> tuple[int, str]:
    """The largest sum of an input and an output in a chain of int8 tensors, and whose it is."""
    peak, layer, source = 0, "", first
    for name, result in steps:
        if source + result > peak:
            peak, layer = source + result, name
        source = result
    return peak, layer

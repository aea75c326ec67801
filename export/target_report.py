"""Whether a model fits its target, and what a decision would cost there: memory measured, time and energy estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge_mi.bundle import C_SOURCE
from edge_mi.errors import DoesNotFit

from .c_footprint import CodeMemory, code_memory
from .footprint import GraphMemory, LayerCost, graph_memories, layer_costs
from .instruction_counts import COUNTS
from .quantise import QuantisedNet
from .targets import Target
from .tflm import ABSENT, tflm_library

ESTIMATE: Final = "estimate, not measured"
FORMULA: Final = (
    "instructions = MACs * instructions per MAC, for the C code those of filters, quality and alarm besides; "
    "time = instructions * cycles per instruction / clock; "
    "energy = instructions * cycles per instruction * supply voltage * active current / clock of that current"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bytes that the model needs of a memory, and may take; None for no limit. `by` says what needs them."""

    needed_bytes: int
    by: str
    allowed_bytes: int | None
    total_bytes: int | None
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One decision: the network over the whole window, over what a hop brings, or all of the C code.

    None where no figure is known.
    """

    decision: str
    macs: int
    instructions: int | None
    time_ms: float | None
    energy_uj: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReport:
    """The document of `--target`.

    arena_source says who measured the arenas. firmware: memory of the C code, which then decides whether it fits; None
    where no C was written.
    """

    name: str
    title: str
    core: str
    clock_hz: int | None
    flash: Budget
    ram: Budget
    layers: tuple[LayerCost, ...]
    graphs: tuple[GraphMemory, ...]
    arena_source: str
    estimates: tuple[Estimate, ...]
    estimates_are: str
    formula: str
    sources: tuple[str, ...]
    firmware: CodeMemory | None = None


def report_target(
    net: QuantisedNet, content: Mapping[str, bytes], target: Target, *, state_bytes: int | None = None
) -> TargetReport:
    """Everything about `net` on `target`; `content` holds the files of its bundle.

    state_bytes: of the C code, where there is some; it is then what must fit, and otherwise the graphs are.
    Raises DoesNotFit, naming a layer and the bytes found and allowed, where flash or RAM are too small.
    """
    layers, graphs = layer_costs(net), graph_memories(net, content)
    whole, front, head = graphs
    ring = net.spec.frames * net.spec.features
    kind = "activations" if whole.arena_bytes is None else "arena"
    code = None if state_bytes is None else code_memory(content[C_SOURCE], state_bytes, net.spec)
    if code is not None:
        flash = code.flash_bytes, f"tables and code of {C_SOURCE}"
        ram = code.ram_bytes, f"state and stack of {C_SOURCE}"
    else:
        files = f"{front.file} and {head.file}"
        flash = front.file_bytes + head.file_bytes, f"{files}, without TFLM's own code"
        ram = front.ram_bytes + head.ram_bytes + ring, f"{kind} of {files}, ring of frames"
    report = TargetReport(
        name=target.name,
        title=target.title,
        core=target.core,
        clock_hz=target.clock_hz,
        flash=_budget(*flash, target.flash_bytes, target.flash_allowed, target.flash_share),
        ram=_budget(*ram, target.ram_bytes, target.ram_allowed, target.ram_share),
        layers=layers,
        graphs=graphs,
        arena_source=_arena_source(whole),
        estimates=(
            _estimate("window", sum(layer.macs_window for layer in layers), target),
            _estimate("hop", sum(layer.macs_hop for layer in layers), target),
            _estimate("decision of the C code", net.spec.macs_with_state, target, whole_detector=True),
        ),
        estimates_are=ESTIMATE,
        formula=FORMULA,
        sources=_sources(target),
        firmware=code,
    )
    _check_fit(net.spec.name, report)
    return report


def _check_fit(name: str, report: TargetReport) -> None:
    _, front, _ = report.graphs
    if report.flash.allowed_bytes is not None and report.flash.needed_bytes > report.flash.allowed_bytes:
        largest = max(report.layers, key=lambda layer: layer.bytes)
        raise DoesNotFit(
            f"{name} does not fit {report.name}: {_too_much('flash', report.flash)}; its largest layer is "
            f"{largest.name} with {largest.bytes:,} bytes; no bundle was written"
        )
    if report.ram.allowed_bytes is not None and report.ram.needed_bytes > report.ram.allowed_bytes:
        if report.firmware is not None:
            code = report.firmware
            raise DoesNotFit(
                f"{name} does not fit {report.name}: {_too_much('RAM', report.ram)}; the layer that keeps most is "
                f"{code.keeps_most} with {code.keeps_most_bytes:,} bytes; no bundle was written"
            )
        raise DoesNotFit(
            f"{name} does not fit {report.name}: {_too_much('RAM', report.ram)}; its activations peak in "
            f"{front.peak_layer} with {front.activations_bytes:,} bytes; no bundle was written"
        )


def _too_much(memory: str, budget: Budget) -> str:
    return (
        f"{budget.needed_bytes:,} bytes of {memory} ({budget.by}), allowed are {budget.allowed_bytes:,} "
        f"({budget.share:.0%} of {budget.total_bytes:,})"
    )


def _budget(needed: int, by: str, total: int | None, allowed: int | None, share: float) -> Budget:
    return Budget(needed_bytes=needed, by=by, allowed_bytes=allowed, total_bytes=total, share=share)


def _arena_source(graph: GraphMemory) -> str:
    if graph.arena_bytes is None:
        return f"not measured, RAM is the computed peak of the activations alone; {ABSENT}"
    return f"measured with {tflm_library()}, a 64-bit build: structures are smaller on a 32-bit processor"


def _estimate(decision: str, macs: int, target: Target, *, whole_detector: bool = False) -> Estimate:
    if target.count is None or target.cycles_per_instruction is None or target.clock_hz is None:
        return Estimate(decision=decision, macs=macs, instructions=None, time_ms=None, energy_uj=None)
    count = COUNTS[target.count]
    instructions = macs * count.per_mac + (count.others if whole_detector else 0)
    cycles = instructions * target.cycles_per_instruction
    return Estimate(
        decision=decision,
        macs=macs,
        instructions=int(_three_digits(instructions)),
        time_ms=_three_digits(1e3 * cycles / target.clock_hz),
        energy_uj=None
        if target.power is None
        else _three_digits(1e6 * cycles * target.power.joule_per_cycle),
    )


def _three_digits(value: float) -> float:
    """No estimate here is good to more."""
    return float(f"{value:.3g}")


def _sources(target: Target) -> tuple[str, ...]:
    lines = [f"memories and clock: {target.source}"]
    if target.count is None:
        return (*lines, "no time and no energy: instructions were not counted for this core")
    count = COUNTS[target.count]
    note = f" ({target.count_note})" if target.count_note else ""
    lines.append(
        f"instructions per MAC: {count.per_mac:.2f} in the C code's kernels, not TFLM's, and {count.others:,} besides the "
        f"network: {count.source}{note}"
    )
    lines.append(
        f"cycles per instruction: {target.cycles_per_instruction:g}, assumed, without waiting for flash"
    )
    if target.power is not None:
        quoted = "" if target.power.verified else " (as quoted by others; the maker's table was not read)"
        lines.append(f"active current: {1e3 * target.power.current_a:.3g} mA at {target.power.supply_v:g} V and "
                     f"{target.power.clock_hz / 1e6:g} MHz, {target.power.source}{quoted}")  # fmt: skip
    return tuple(lines)

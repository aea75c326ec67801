"""The C export on emulated microcontrollers: the same decisions as Python, and what they cost.

Run by `make mcu`. QEMU counts instructions, not cycles: nothing here is a speed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from edge_mi.export.bundle_writer import Extras, write_unchecked
from edge_mi.export.c_check import codes_of, expected_decisions
from edge_mi.export.c_model import FLAGS, REASONS, Missing
from edge_mi.export.quantise import quantise
from numpy.typing import NDArray

from edge_mi import synthetic
from edge_mi.bundle import C_SOURCE, Bundle
from edge_mi.checkpoint import Checkpoint
from edge_mi.decision import STATES, Decision
from edge_mi.detector import Detector
from edge_mi.errors import CheckFailed, ConfigError, EdgeMIError
from edge_mi.files import write_file
from edge_mi.firmware import Firmware, Rounding
from edge_mi.records import read_record
from edge_mi.runners.choose import open_runner
from edge_mi.shipped import shipped_checkpoint

SCHEMA: Final = 1
EXAMPLE: Final = Path(__file__).resolve().parents[1] / "examples" / "firmware"
COMPILER: Final = "arm-none-eabi-gcc"
EMULATOR: Final = "qemu-system-arm"
MOST_S: Final = 120.0  # of one record
SYNTHETIC: Final = ("none", "anterior")  # hearts at every rate, by territory
ROUNDINGS: Final[tuple[Rounding, ...]] = (0, 2)


@dataclass(frozen=True, slots=True)
class Core:
    """A processor, how to compile for it, and the QEMU board that runs the code; an M3 runs that of an M0+."""

    name: str
    flags: tuple[str, ...]
    board: str


CORES: Final = (
    Core("Cortex-M0+", ("-mcpu=cortex-m0plus",), "mps2-an385"),
    Core("Cortex-M3", ("-mcpu=cortex-m3",), "mps2-an385"),
    Core("Cortex-M4", ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"), "mps2-an386"),
    Core("Cortex-M55", ("-mcpu=cortex-m55", "-mfloat-abi=hard"), "mps3-an547"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What an image printed: its decisions, and its counters (None where it makes no decision)."""

    decisions: list[Decision]
    instructions_mean: int | None
    instructions_most: int | None
    longest_push: int | None
    longest_next: int | None
    stack_bytes: int | None
    state_bytes: int | None


def check_tools() -> None:
    """Raises ConfigError naming the package of a tool that is not there."""
    for tool, package in (
        (COMPILER, "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
        (EMULATOR, "qemu-system-arm"),
    ):
        if shutil.which(tool) is None:
            raise ConfigError(f"{tool} is not installed: apt install {package}")


def build(core: Core, code: Path, image: Path, *, count: bool = False) -> dict[str, int]:
    """Compile the example with the `edge_mi.c` in `code` to `image`; {flash_bytes, ram_bytes} of that file alone.

    count: the program that counts the network's instructions, in place of the one that reads a record.
    Raises CheckFailed where it does not compile without a warning.
    """
    flags = ["-O2", *core.flags, "-mthumb", "-ffunction-sections", "-fdata-sections"]
    flags += ["-DEDGE_MI_TESTING"] if count else []
    alone = image.with_suffix(".o")
    _compile([COMPILER, *FLAGS, *flags, "-c", str(code / "edge_mi.c"), "-o", str(alone)])
    libraries = ["--specs=rdimon.specs"]
    start = _output([COMPILER, *flags, *libraries, "-print-file-name=rdimon-crt0.o"]).strip()
    _compile(
        [
            COMPILER, "-std=gnu99", "-Wall", "-Wextra", "-Werror", *flags, f"-I{code}", f"-I{EXAMPLE}",
            "-Wl,--gc-sections", "-nostartfiles", *libraries, f"-T{EXAMPLE / 'mps2.ld'}",
            str(EXAMPLE / "board_mps2.c"), str(EXAMPLE / ("count.c" if count else "main.c")), str(alone), start,
            "-o", str(image),
        ]
    )  # fmt: skip
    text, data, bss = map(int, _output(["arm-none-eabi-size", str(alone)]).splitlines()[1].split()[:3])
    return {"flash_bytes": text + data, "ram_bytes": data + bss}


def network_instructions(core: Core, code: Path, folder: Path) -> int:
    """Instructions of the network for one decision, layers keeping their state."""
    image = folder / f"{core.name}-count.elf"
    build(core, code, image, count=True)
    return int(_emulate(core, image, ["count"], folder))


def run(
    core: Core, image: Path, stream: Sequence[NDArray[np.int16] | Missing], folder: Path, model_id: str
) -> Run:
    """The image on its emulated board, given a stream of codes and gaps. Raises CheckFailed where it fails."""
    codes = [part for part in stream if not isinstance(part, Missing)]
    (folder / "record.raw").write_bytes(np.concatenate(codes).astype("<i2").tobytes())
    arguments, at = ["main", "record.raw"], 0
    for part in stream:
        if isinstance(part, Missing):
            arguments.append(f"gap={at}:{part.n_samples}")
        else:
            at += len(part)
    return _parse(_emulate(core, image, arguments, folder), model_id)


def _emulate(core: Core, image: Path, arguments: list[str], folder: Path) -> str:
    semihosting = ",".join(["enable=on", "target=native", *(f"arg={argument}" for argument in arguments)])
    done = subprocess.run(
        [
            EMULATOR, "-M", core.board, "-nographic", "-monitor", "none", "-serial", "none",
            "-semihosting-config", semihosting, "-icount", "shift=0", "-kernel", str(image.resolve()),
        ],
        cwd=folder, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        raise CheckFailed(
            f"{core.name}: the image ended with {done.returncode}: {done.stderr.strip()[-200:]}"
        )
    return done.stdout


def _parse(text: str, model_id: str) -> Run:
    header, *lines = text.splitlines()
    if not header.startswith("t_s,state"):
        raise CheckFailed(f"the image printed {header[:80]!r}, expected a header of decisions")
    decisions, numbers = [], {}
    for line in lines:
        if line.startswith("#"):
            words = line[1:].split()
            # "instructions 1 mean 2 most": each number with the word after it
            numbers.update(
                {word: int(words[i - 1]) for i, word in enumerate(words) if i and words[i - 1].isdigit()}
            )
            continue
        t_s, state, reason, ppm, quality, rate, _ = line.split(",")
        decisions.append(
            Decision(
                t_s=float(t_s),
                state=next(name for name in STATES if name == state),
                reason=next((name for name in REASONS if name == reason), None),
                probability=None if int(ppm) < 0 else int(ppm) / 1e6,
                quality=None if int(quality) < 0 else int(quality) / 1000,
                heart_rate_bpm=None if int(rate) < 0 else int(rate) / 10,
                model_id=model_id,
            )
        )
    return Run(decisions, *(numbers.get(name) for name in ("mean", "most", "push", "next", "stack", "state")))


def first_difference(found: list[Decision], expected: list[Decision], ticks_hz: int) -> str | None:
    """The first decision that differs, in words; None where none does. Times are compared on the code's ticks."""
    for i, (a, b) in enumerate(zip(found, expected, strict=False)):
        same_time = round(a.t_s * ticks_hz) == round(b.t_s * ticks_hz)
        if not same_time or a.to_json().partition(",")[2] != b.to_json().partition(",")[2]:
            return f"decision {i}: {a.to_json()}, expected {b.to_json()}"
    return None if len(found) == len(expected) else f"{len(found)} decisions, expected {len(expected)}"


def main() -> int:
    """Run every core on every record and write the document; exit code 1 where a decision differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, metavar="JSON", help="file to write (default: print)")
    args = parser.parse_args()
    try:
        check_tools()
        document = json.dumps(measure(), indent=1) + "\n"
        if args.out is None:
            print(document, end="")
        else:
            write_file(args.out, document.encode())
    except EdgeMIError as exc:
        print(f"edge-mi: {exc}", file=sys.stderr)
        return exc.exit_code
    return 0


def measure() -> dict[str, Any]:
    """Every core, both families, on records of several rates. Raises CheckFailed where a decision differs."""
    checkpoint = Checkpoint.load(shipped_checkpoint())
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for rate_hz, gain, records in _records():
            for rounding in ROUNDINGS:
                firmware = Firmware(rate_hz=rate_hz, gain=gain, baseline=0, rounding=rounding)
                work = folder / f"{rate_hz}-{rounding}"
                work.mkdir()
                bundle, _, _ = write_unchecked(checkpoint, quantise(checkpoint), work, None, Extras(firmware))
                rows += [_measure_core(core, bundle, firmware, work, records) for core in CORES]
                print(f"{rate_hz} Hz, {firmware.family}: equal on {len(CORES)} cores", file=sys.stderr)
    return {
        "schema": SCHEMA,
        "model": checkpoint.info.net.name,
        "compiler": _output([COMPILER, "--version"]).splitlines()[0],
        "emulator": _output([EMULATOR, "--version"]).splitlines()[0],
        "macs_decision": checkpoint.info.net.macs_with_state,
        "macs_window": checkpoint.info.net.macs_window,
        "rows": rows,
        "command": "make mcu",
    }


def _measure_core(
    core: Core, bundle: Bundle, firmware: Firmware, work: Path, records: list[tuple[str, NDArray[np.int16]]]
) -> dict[str, Any]:
    detector = Detector(
        bundle, open_runner(bundle, "litert-ref" if firmware.family == "reference" else "litert")
    )
    image = work / f"{core.name}.elf"
    sizes = build(core, (bundle.path / C_SOURCE).parent, image)
    ticks_hz = math.lcm(firmware.rate_hz, bundle.info.net.rate_hz)
    compared, counted, instructions, most, push, drain, stack, state = 0, 0, 0, 0, 0, 0, 0, 0
    for name, codes in records:
        third = len(codes) // 3
        stream = (
            [codes]
            if len(codes) < 30 * firmware.rate_hz
            else [codes[:third], Missing(firmware.rate_hz), codes[third:]]
        )
        expected = expected_decisions(detector, firmware, stream)
        found = run(core, image, stream, work, bundle.model_id)
        difference = first_difference(found.decisions, expected, ticks_hz)
        if difference is not None:
            raise CheckFailed(f"{core.name}, {firmware.rate_hz} Hz, {firmware.family}, {name}: {difference}")
        compared += len(expected)
        if found.instructions_mean is not None:
            instructions += found.instructions_mean * len(found.decisions)
            counted += len(found.decisions)
            most, stack = max(most, found.instructions_most or 0), max(stack, found.stack_bytes or 0)
            push, drain = max(push, found.longest_push or 0), max(drain, found.longest_next or 0)
            state = found.state_bytes or 0
    return {
        "core": core.name, "rate_hz": firmware.rate_hz, "family": firmware.family,
        "records": {"synthetic": len(SYNTHETIC), "real": len(records) - len(SYNTHETIC)},
        "decisions": compared, "identical": True,
        "flash_bytes": sizes["flash_bytes"], "ram_bytes": sizes["ram_bytes"] + state, "stack_bytes": stack,
        "instructions_mean": round(instructions / counted), "instructions_most": most,
        "longest_push": push, "longest_next": drain,
        "instructions_network": network_instructions(core, (bundle.path / C_SOURCE).parent, work),
    }  # fmt: skip


def _records() -> Iterator[tuple[int, str, list[tuple[str, NDArray[np.int16]]]]]:
    """(rate, gain, [(name, codes)]): real records where they are, and synthetic ones at every rate."""
    data = Path(os.environ.get("EDGE_MI_DATA") or EXAMPLE.parents[1].parent / "shared" / "data")
    real = {
        130: [data / "polar_h10" / "h10_part1.csv"],
        300: sorted((data / "cinc2017").glob("*.mat")),
        500: sorted((data / "ptbxl" / "records500").rglob("*.hea"))[:12],
        1000: sorted((data / "ptbdb").rglob("*.hea"))[:2],
    }
    for rate_hz, paths in real.items():
        firmware = Firmware(rate_hz=rate_hz, gain="1000", baseline=0, rounding=0)
        records = []
        for territory in SYNTHETIC:
            heart = synthetic.ecg(60, rate_hz=rate_hz, territory=territory, noise_mv=0.02, seed=rate_hz)
            records.append((f"synthetic-{territory}", codes_of(firmware, heart.lead("I"))))
        for path in paths:
            if path.is_file():
                samples_mv = read_record(path).samples_mv[: int(MOST_S * rate_hz)]
                records.append((path.stem, codes_of(firmware, np.nan_to_num(samples_mv).astype(np.float64))))
        yield rate_hz, firmware.gain, records


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr.strip():
        raise CheckFailed(f"{Path(command[-1]).name} does not compile cleanly: {done.stderr.strip()[:300]}")


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    raise SystemExit(main())

"""The processors that a model is exported for: their memories, what of it a model may take, clock and current.

Where a figure comes from is said beside it; `verified` is False where the maker's own table could not be read and
the figure is what others quote of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_mi.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivePower:
    """Supply of a processor that computes: `current_a` at `supply_v`, measured by its maker at `clock_hz`."""

    supply_v: float
    current_a: float
    clock_hz: int
    source: str
    verified: bool

    @property
    def joule_per_cycle(self) -> float:
        """Energy of one clock cycle; taken to be the same at every clock."""
        return self.supply_v * self.current_a / self.clock_hz


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A processor, and how much of it a model may have; None where there is no limit or no figure.

    flash_share and ram_share: the part that the model may take; the rest is for radio, application and buffers.
    count: key of `instruction_counts.COUNTS`; count_note says for which reason it is another core's.
    cycles_per_instruction: assumed, without wait states of the flash.
    """

    name: str
    title: str
    core: str
    source: str
    clock_hz: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    flash_share: float = 0.5
    ram_share: float = 0.25
    count: str | None = None
    count_note: str = ""
    cycles_per_instruction: float | None = None
    power: ActivePower | None = None

    @property
    def flash_allowed(self) -> int | None:
        """Bytes of flash that the model may take."""
        return None if self.flash_bytes is None else int(self.flash_bytes * self.flash_share)

    @property
    def ram_allowed(self) -> int | None:
        """Bytes of RAM that the model may take."""
        return None if self.ram_bytes is None else int(self.ram_bytes * self.ram_share)


_KIB, _MIB = 1 << 10, 1 << 20

TARGETS: Final = (
    Target(
        name="pi",
        title="Raspberry Pi Zero 2 W or larger",
        core="Cortex-A53, 64-bit",
        source="Raspberry Pi Zero 2 W product brief: 1 GHz, 512 MB",
        clock_hz=1_000_000_000,
        ram_bytes=512 * _MIB,
    ),
    Target(
        name="nrf52840",
        title="Nordic nRF52840",
        core="Cortex-M4F",
        source="nRF52840 Product Specification, Memory and CPU: 64 MHz, 1 MB flash, 256 kB RAM",
        clock_hz=64_000_000,
        flash_bytes=_MIB,
        ram_bytes=256 * _KIB,
        count="smlad",
        cycles_per_instruction=1.3,
        power=ActivePower(
            supply_v=3.0,
            current_a=52e-6 * 64,
            clock_hz=64_000_000,
            source="nRF52840 Product Specification, Current consumption, CPU running: CoreMark from flash, DC/DC, "
            "52 uA/MHz at 3 V",
            verified=False,
        ),
    ),
    Target(
        name="esp32s3",
        title="Espressif ESP32-S3, module with 8 MB of flash",
        core="Xtensa LX7",
        source="ESP32-S3 Series Datasheet v2.2: 240 MHz, 512 KB SRAM; flash of the module ESP32-S3-WROOM-1-N8",
        clock_hz=240_000_000,
        flash_bytes=8 * _MIB,
        ram_bytes=512 * _KIB,
        count="portable",
        count_note="Xtensa was not counted, its SIMD is not used",
        cycles_per_instruction=1.3,
        power=ActivePower(
            supply_v=3.3,
            current_a=51.2e-3,
            clock_hz=240_000_000,
            source="ESP32-S3 Series Datasheet v2.2, 5.6.2, table 5-9: Modem-sleep, 240 MHz, one core on 32-bit data",
            verified=True,
        ),
    ),
    Target(
        name="stm32l4",
        title="ST STM32L476",
        core="Cortex-M4F",
        source="STM32L476xx datasheet (DS10198), features: 80 MHz, 1 MB flash, 128 KB SRAM",
        clock_hz=80_000_000,
        flash_bytes=_MIB,
        ram_bytes=128 * _KIB,
        count="smlad",
        cycles_per_instruction=1.3,
        power=ActivePower(
            supply_v=3.0,
            current_a=100e-6 * 80,
            clock_hz=80_000_000,
            source="STM32L476xx datasheet (DS10198), features: run mode, LDO, 100 uA/MHz; typical supply of 3 V",
            verified=False,
        ),
    ),
    Target(
        name="rp2040",
        title="Raspberry Pi RP2040, Pico board",
        core="Cortex-M0+",
        source="RP2040 product brief: 133 MHz, 264 kB SRAM; Raspberry Pi Pico datasheet: 2 MB flash",
        clock_hz=133_000_000,
        flash_bytes=2 * _MIB,
        ram_bytes=264 * _KIB,
        count="armv6-m",
        cycles_per_instruction=1.5,
        power=ActivePower(
            supply_v=3.3,
            current_a=10.9e-3,
            clock_hz=48_000_000,
            source="RP2040 Datasheet, 5.7 Power Consumption, use case Popcorn: DVDD at 48 MHz; its linear regulator "
            "takes the same current from 3.3 V",
            verified=True,
        ),
    ),
    Target(name="generic", title="no particular processor", core="any", source="no limits"),
)


def target_named(name: str) -> Target:
    """The target `name`. Raises ConfigError where there is none."""
    for target in TARGETS:
        if target.name == name:
            return target
    raise ConfigError(f"--target {name}; choose one of {', '.join(target.name for target in TARGETS)}")

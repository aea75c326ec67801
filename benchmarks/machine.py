"""The machine a figure was measured on, as far as it tells."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

_CPU = Path("/sys/devices/system/cpu")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, clock, governor, temperature and throttling; None where the platform is silent."""
    return {
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "governor": _read(_CPU / "cpu0/cpufreq/scaling_governor"),
        "clock_mhz": _number(_CPU / "cpu0/cpufreq/scaling_cur_freq", 1e-3),
        "temperature_c": _number(Path("/sys/class/thermal/thermal_zone0/temp"), 1e-3),
        # Raspberry Pi: bits for under-voltage and throttling, now and since start
        "throttled": _read(Path("/sys/devices/platform/soc/soc:firmware/get_throttled")),
        "emulated": "qemu" in (_processor() or "").lower(),
    }


def _processor() -> str | None:
    model = _read(Path("/proc/device-tree/model"))
    if model:
        return model.rstrip("\0")
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _number(path: Path, factor: float) -> float | None:
    text = _read(path)
    try:
        return None if text is None else round(float(text) * factor, 1)
    except ValueError:
        return None

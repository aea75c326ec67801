"""What an emulated patch does wrong, and when: a plan in TOML. docs/emulator.md lists every key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from edge_mi import strict
from edge_mi.errors import ConfigError

from ..edge_mi_packet import LEADS

Kind: TypeAlias = Literal[
    "drop", "duplicate", "truncate", "corrupt", "reorder", "stall", "disconnect", "reset", "clock_jump", "battery",
    "contact", "end",
]  # fmt: skip
MTU_LIMITS: Final = (23, 517)
_LONGEST_S: Final = 86_400.0
_SHORTEST_S: Final = 1e-3
_FARTHEST_S: Final = 1e10  # three centuries: more than any sensor's clock holds
_MOST_PPM: Final = 500_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault at `at_s` seconds of the sensor's time, and again every `every_s` (0: once).

    packets: how many a drop, duplicate, truncate, corrupt takes. keep_bytes: what truncate leaves, None for half. for_s:
    of a stall, and how long the patch is away after a disconnect or reset. by_s: how far the clock jumps. percent: of
    the battery. on: of the contact.
    """

    kind: Kind
    at_s: float
    every_s: float = 0.0
    packets: int = 1
    keep_bytes: int | None = None
    for_s: float = 0.0
    by_s: float = 0.0
    percent: int = 5
    on: bool = False

    def times(self, before_s: float, now_s: float) -> int:
        """How often it is due in (before_s, now_s]."""
        if self.every_s <= 0:
            return int(before_s < self.at_s <= now_s)
        return _fired(now_s, self) - _fired(before_s, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """How the patch is from the start, and its faults.

    mtu: the largest ATT MTU that it takes. pairing: whether its service wants an encrypted link. slow_start_s: from the
    start to the first packet. mute: START is accepted and nothing comes. refuse: the status that answers START, 0 for
    none (H10). careless: cuts packets to a small MTU instead of refusing (H10). drift_ppm: of its clock against the
    world's. rate_ppm: how much faster than listed it samples by its own clock. lead: what it says that it measures
    (EdgeMI Patch).
    """

    mtu: int = 517
    pairing: bool = False
    slow_start_s: float = 0.0
    mute: bool = False
    refuse: int = 0
    careless: bool = False
    battery_percent: int = 87
    lead: str = "I"
    drift_ppm: float = 0.0
    rate_ppm: float = 0.0
    fault: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        low, high = MTU_LIMITS
        if not low <= self.mtu <= high:
            raise ConfigError(f"mtu is {self.mtu}; expected {low} to {high}")
        if self.lead not in LEADS:
            raise ConfigError(f"lead is {self.lead!r}; expected one of {', '.join(LEADS)}")
        for name, value, least, most in (
            ("battery_percent", self.battery_percent, 0, 100),
            ("refuse", self.refuse, 0, 255),
            ("slow_start_s", self.slow_start_s, 0, _LONGEST_S),
            ("drift_ppm", self.drift_ppm, -_MOST_PPM, _MOST_PPM),
            ("rate_ppm", self.rate_ppm, -_MOST_PPM, _MOST_PPM),
        ):
            if not least <= value <= most:
                raise ConfigError(f"{name} is {value:g}; expected {least:g} to {most:g}")
        for each in self.fault:
            if each.packets < 1 or each.for_s < 0 or each.every_s < 0 or (each.keep_bytes or 0) < 0:
                raise ConfigError(f"a {each.kind} at {each.at_s:g} s has a negative number, or no packet")
            for name, seconds, least, most in (
                ("at_s", each.at_s, 0.0, _FARTHEST_S),
                ("every_s", each.every_s or _SHORTEST_S, _SHORTEST_S, _FARTHEST_S),
                ("for_s", each.for_s, 0.0, _LONGEST_S),
                ("by_s", each.by_s, -_FARTHEST_S, _FARTHEST_S),
            ):
                if not least <= seconds <= most:
                    raise ConfigError(
                        f"{name} of a {each.kind} is {seconds:g} s; expected {least:g} to {most:g}"
                    )
            if each.kind == "stall" and not each.for_s:
                raise ConfigError(f"a stall at {each.at_s:g} s has no for_s, so nothing would be late")
            if each.kind == "clock_jump" and not each.by_s:
                raise ConfigError(f"a clock_jump at {each.at_s:g} s has no by_s, so nothing would jump")
            if not 0 <= each.percent <= 100:
                raise ConfigError(
                    f"a battery of {each.percent} percent at {each.at_s:g} s; expected 0 to 100"
                )


NO_FAULTS: Final = FaultPlan()


def read_plan(text: str) -> FaultPlan:
    """The plan in `text`. Raises ConfigError, naming the key, for anything that it does not know."""
    try:
        given = tomllib.loads(text)
        faults = given.pop("fault", [])
        if not isinstance(faults, list):
            raise ConfigError(
                "fault in the plan is no list of tables; write [[fault]] above the keys of each"
            )
        _check_keys(given, FaultPlan, "the fault plan")
        plan = strict.decode({**strict.encode(NO_FAULTS), **given}, FaultPlan)
        return replace(plan, fault=tuple(_fault(each, i) for i, each in enumerate(faults)))
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"the fault plan is not TOML: {exc}") from exc
    except strict.DocumentError as exc:
        raise ConfigError(f"the fault plan: {exc}") from exc


def _fault(given: Any, number: int) -> Fault:
    where = f"fault {number + 1}"
    if not isinstance(given, dict):
        raise ConfigError(f"{where} of the plan is no table; write [[fault]] above its keys")
    missing = {"kind", "at_s"} - given.keys()
    if missing:
        raise ConfigError(f"{where} of the plan has no {' and no '.join(sorted(missing))}")
    if given["kind"] not in get_args(Kind):
        raise ConfigError(f"{where} of the plan is a {given['kind']!r}; expected {', '.join(get_args(Kind))}")
    _check_keys(given, Fault, where)
    whole = {**strict.encode(Fault(kind="drop", at_s=0.0)), **given}
    return strict.decode(whole, Fault, where)


def _check_keys(given: Iterable[str], kind: type, where: str) -> None:
    known = [field.name for field in fields(kind)]
    for key in given:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key}; expected {', '.join(known)}")


def _fired(now_s: float, fault: Fault) -> int:
    return 0 if now_s < fault.at_s else int((now_s - fault.at_s) / fault.every_s) + 1

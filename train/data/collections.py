"""Every collection by the name that a command line gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from edge_mi.errors import ConfigError

from . import cinc2017, ludb, mimic_iv_ecg, ptbdb, ptbxl
from .cinc2017 import Cinc2017
from .cinc_twelve_leads import CincTwelveLeads
from .collection import Collection, LabelRule
from .ludb import Ludb
from .mimic_iv_ecg import MimicIvEcg
from .ptbdb import PtbDb
from .ptbxl import PtbXl

Factory: TypeAlias = Callable[[Path, LabelRule], Collection]

COLLECTIONS: Final[Mapping[str, Factory]] = {
    ptbxl.NAME: PtbXl,
    ptbdb.NAME: PtbDb,
    ludb.NAME: Ludb,
    mimic_iv_ecg.NAME: MimicIvEcg,
    cinc2017.NAME: Cinc2017,
    "cinc2020": partial(CincTwelveLeads, year=2020),
    "cinc2021": partial(CincTwelveLeads, year=2021),
}


def open_collection(
    name: str, folder: Path, rule: LabelRule | None = None, *, rate_hz: int | None = None
) -> Collection:
    """The collection called `name`, in its published layout in `folder`; nothing is read yet.

    rate_hz: for PTB-XL, which is published at 100 (the default) and 500 Hz. Raises ConfigError for an unknown
    name and for the rate of another collection, RecordError for a rate that PTB-XL has not.
    """
    factory = COLLECTIONS.get(name)
    if factory is None:
        raise ConfigError(f"no collection {name[:40]!a}; expected one of {', '.join(COLLECTIONS)}")
    if rate_hz is None:
        return factory(folder, rule or LabelRule())
    if name != ptbxl.NAME:
        raise ConfigError(f"{name} is published at one rate only; leave the rate out")
    return PtbXl(folder, rule, rate_hz=rate_hz)

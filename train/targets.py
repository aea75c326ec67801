"""What the networks learn beside MI: frequent SCP statements, age and sex, as tensors over a store's records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_mi.store import WindowStore

AGE_CENTRE_YEARS = 60.0
AGE_SCALE_YEARS = 17.0


@dataclass(frozen=True, slots=True)
class Targets:
    """Float32 targets of all records of a store, in its order.

    mi (n,). codes (n, c), columns named by code_names. age (n,), centred and scaled, 0 where unknown.
    female (n,). age_known and sex_known (n,) are 1 where the source knows.
    """

    mi: Tensor
    codes: Tensor
    code_names: tuple[str, ...]
    age: Tensor
    age_known: Tensor
    female: Tensor
    sex_known: Tensor

    def to(self, device: str) -> Targets:
        """The same targets on another device."""
        names = ("mi", "codes", "age", "age_known", "female", "sex_known")
        moved: dict[str, Any] = {name: getattr(self, name).to(device) for name in names}
        return replace(self, **moved)

    def side_heads(self) -> dict[str, int]:
        """Side head -> number of outputs: `codes`, and `person` for age and sex."""
        heads = {"codes": len(self.code_names)} if self.code_names else {}
        return {**heads, "person": 2}

    def positive_weight(self, rows: NDArray[np.int64]) -> float:
        """Square root of negatives / positives among `rows`; 1 where one class is missing."""
        positives = float(self.mi[torch.from_numpy(rows)].sum())
        negatives = len(rows) - positives
        return float(np.sqrt(negatives / positives)) if positives and negatives else 1.0


def make_targets(
    store: WindowStore, rows: NDArray[np.int64], code_min_records: int, wanted: Collection[str] = ()
) -> Targets:
    """Targets of all records; the statements are those with `code_min_records` among the training `rows`.

    Of statements in `wanted` one record is enough.
    """
    table = store.records
    counts = table.code_counts(rows)
    names = tuple(
        sorted(code for code, count in counts.items() if count >= code_min_records or code in wanted)
    )
    ages = store.ages_years
    known = np.isfinite(ages)
    scaled = np.where(known, (ages - AGE_CENTRE_YEARS) / AGE_SCALE_YEARS, 0.0)
    return Targets(
        mi=_tensor(np.where(table.mi < 0, np.nan, table.mi)),
        codes=_tensor(table.code_matrix(names)),
        code_names=names,
        age=_tensor(scaled),
        age_known=_tensor(known),
        female=_tensor(table.female == 1),
        sex_known=_tensor(table.female >= 0),
    )


def _tensor(values: object) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))

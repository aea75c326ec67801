"""The lesson of the recipe with one change."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore

from ..augment import SignalTable
from ..config import StudentConfig
from ..finetune import Lesson
from .beats import COMPONENTS, beat_targets
from .change import Change
from .statements import PLACES, SUPERCLASSES, groups_of


class ChangedLesson(Lesson):
    """`Lesson` and what `change` adds to it."""

    def __init__(
        self,
        store: WindowStore,
        rows: NDArray[np.int64],
        config: StudentConfig,
        soft_logits: NDArray[np.float32],
        change: Change,
    ) -> None:
        super().__init__(store, rows, config, soft_logits)
        self._change = change
        self._normal = torch.from_numpy(store.norms == 1)
        self._groups = {
            name: torch.from_numpy(groups_of(store, groups))
            for name, groups in (("superclasses", SUPERCLASSES), ("places", PLACES))
            if getattr(change, name)
        }
        self._beats = tuple(map(torch.from_numpy, beat_targets(store, rows))) if change.beats else ()
        self._all_leads = SignalTable(store, TWELVE_LEADS) if change.mixed_leads else None

    @property
    def side_heads(self) -> dict[str, int]:
        """See `Lesson`."""
        heads = {name: targets.shape[1] for name, targets in self._groups.items()}
        return {**super().side_heads, **heads, **({"beats": COMPONENTS} if self._beats else {})}

    def loss(self, net: nn.Module, batch: Tensor) -> Tensor:
        """See `Lesson`."""
        views, change = self._views(batch), self._change
        if not change.mixup:
            return self.judge(net(views), batch)
        share = float(np.random.default_rng(int(torch.randint(2**31, ()))).beta(change.mixup, change.mixup))
        order = torch.randperm(len(batch))
        outputs = net((1 - share) * views + share * views[order])
        return (1 - share) * self.judge(outputs, batch) + share * self.judge(outputs, batch[order])

    def judge(self, outputs: dict[str, Tensor], batch: Tensor) -> Tensor:
        """Loss of what the network said of the records `batch`."""
        change, loss = self._change, super().judge(outputs, batch)
        for name, targets in self._groups.items():
            each = F.binary_cross_entropy_with_logits(outputs[name], targets[batch], reduction="none")
            loss = loss + getattr(change, name) * each.sum(1).mean()
        if self._beats:
            aims, known = self._beats
            squares = (outputs["beats"] - aims[batch]).square().mean(1)
            loss = loss + change.beats * (squares * known[batch]).mean()
        mi = self._targets.mi[batch]
        logits, abnormal = outputs["mi"], (mi == 1) | ~self._normal[batch]
        if change.hard_negatives and abnormal.any():
            among = F.binary_cross_entropy_with_logits(logits[abnormal], mi[abnormal])
            loss = loss + change.hard_negatives * among
        positive, negative = logits[mi == 1], logits[abnormal & (mi == 0)]
        if change.ranking and len(positive) and len(negative):
            loss = loss + change.ranking * F.softplus(negative[None] - positive[:, None]).mean()
        return loss

    def _views(self, batch: Tensor) -> Tensor:
        if self._all_leads is None:
            return self.signals.augmented_mv(batch, self._config.augment)
        leads = self._all_leads.augmented_mv(batch, self._config.augment)
        weights = self._change.mixed_leads * torch.randn(len(batch), leads.shape[1])
        weights[:, TWELVE_LEADS.index("I")] = 1
        return torch.einsum("bl,blt->bt", weights, leads)[:, None]

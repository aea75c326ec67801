"""Contrastive loss over a batch: of all 12-lead records, which one does this lead-I view come from?"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class InfoNCELoss(nn.Module):
    """-1/n sum_i log(exp(t <u_i, v_i>) / sum_j exp(t <u_i, v_j>)), and its mean with u and v exchanged (scalar, nats).

    t is learned as its logarithm, starts at `scale` and is held at or below `largest_scale`. Source: van den
    Oord et al., "Representation learning with contrastive predictive coding", arXiv 1807.03748, eq. 4, with
    cosine similarity as the score; the symmetric form and the bound of 100 are those of Radford et al., arXiv
    2103.00020, section 2.3 and fig. 3.
    """

    def __init__(
        self, scale: float = 1 / 0.07, *, symmetric: bool = True, largest_scale: float = 100.0
    ) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.symmetric, self._largest = symmetric, math.log(largest_scale)

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        """u, v: float32 (n, dim); row i of both is a pair. They are normalised here."""
        if u.shape != v.shape:
            raise ValueError(f"pairs need equal shapes, found {tuple(u.shape)} and {tuple(v.shape)}")
        scale = self.log_scale.clamp(max=self._largest).exp()
        logits = scale * F.normalize(u, dim=1) @ F.normalize(v, dim=1).T
        partner = torch.arange(len(u), device=u.device)
        loss = F.cross_entropy(logits, partner)
        return (loss + F.cross_entropy(logits.T, partner)) / 2 if self.symmetric else loss

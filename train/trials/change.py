"""One change of how the lead-I network is taught, that the recipe itself has no setting for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Pooling: TypeAlias = Literal["mean", "mean_max", "mean_deviation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Weights of further terms of the loss, 0 for none, and what else differs.

    mixup: alpha of the beta distribution that the share of the second record is drawn from (Zhang et al., arXiv
    1710.09412). superclasses: BCE of the five diagnostic superclasses of PTB-XL. places: BCE of anterior, inferior,
    lateral and posterior infarction. beats: squared error of the median beat in all twelve leads, as principal
    components. hard_negatives: BCE of MI once more, among infarctions and other abnormal records alone. ranking:
    softplus of every infarction's logit below that of an abnormal record without. mixed_leads: deviation of the
    weights with which the other eleven leads are added to lead I. pooling: of the frames, before the head.
    """

    mixup: float = 0.0
    superclasses: float = 0.0
    places: float = 0.0
    beats: float = 0.0
    hard_negatives: float = 0.0
    ranking: float = 0.0
    mixed_leads: float = 0.0
    pooling: Pooling = "mean"


UNCHANGED = Change()

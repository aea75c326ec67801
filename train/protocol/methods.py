"""The rivals as a table: what each method does before fine-tuning, and what it adds to it.

All share the encoder, its initialisation, the number of pre-training steps, the views and the fine-tuning; what
differs is in the fields. Two caveats belong beside every table. The 12-lead teacher is supervised: a method
that listens to it has indirectly seen every training label, also where its probe is given 1 % of them;
`labels-every-lead` sees them all itself; only `scratch` and `unaligned` have not. And a method without
pre-training takes fewer steps in all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Pretraining: TypeAlias = Literal[
    "selfmis",
    "selfmis-nobias",
    "selfmis-every-lead",
    "infonce",
    "feature",
    "reconstruction",
    "labels-every-lead",
]
EVERY_LEAD: Final[frozenset[Pretraining]] = frozenset({"selfmis-every-lead", "labels-every-lead"})
Kind: TypeAlias = Literal["network", "generative", "age-sex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One rival.

    description: a sentence for tables. pretraining: what the encoder learns before fine-tuning. response: soft
    labels of the teacher are added to the fine-tuning. lead_masking: twelve leads, dropped at random. probed:
    whether there is a frozen encoder for a linear probe.
    """

    description: str
    kind: Kind = "network"
    pretraining: Pretraining | None = None
    response: bool = False
    lead_masking: bool = False
    probed: bool = True

    @property
    def listens(self) -> bool:
        """Whether its pre-training is told the teacher's embedding."""
        return listens(self.pretraining)

    @property
    def scales(self) -> bool:
        """Whether a learning curve can be drawn: with soft labels it would need inner teachers at every point."""
        return self.kind == "network" and not self.response


def listens(pretraining: Pretraining | None) -> bool:
    """Whether an objective of pre-training is told the teacher's embedding."""
    return pretraining not in (None, "reconstruction", "labels-every-lead")


METHODS: Final[dict[str, Method]] = {
    "scratch": Method(
        description="supervised from scratch on lead I; its probes are of a random encoder and are the floor"
    ),
    "selfmis": Method(
        description=(
            "lead I cut out of a record is aligned with the frozen 12-lead teacher's embedding of that record: "
            "sigmoid loss over all pairs, learned scale and bias"
        ),
        pretraining="selfmis",
    ),
    "selfmis-nobias": Method(description="the same without the bias", pretraining="selfmis-nobias"),
    "selfmis-every-lead": Method(
        description="selfmis with segments cut from every lead, one of a record at a time",
        pretraining="selfmis-every-lead",
    ),
    "labels-every-lead": Method(
        description=(
            "no teacher: the same segments of every lead are taught the labels, then lead I alone is fine-tuned; what "
            "every lead gives without alignment"
        ),
        pretraining="labels-every-lead",
    ),
    "infonce": Method(
        description="the same pairs under the symmetric contrastive loss (InfoNCE)", pretraining="infonce"
    ),
    "feature": Method(
        description="feature distillation: a linear map of the features equals the teacher's embedding",
        pretraining="feature",
    ),
    "response": Method(
        description=(
            "response distillation: no pre-training; fine-tuning also learns the soft labels of 12-lead teachers "
            "that did not see the record"
        ),
        response=True,
        probed=False,
    ),
    "unaligned": Method(
        description="self-supervised on lead I alone: hidden stretches of it are reconstructed",
        pretraining="reconstruction",
    ),
    "lead-masking": Method(
        description="one 12-lead network trained end to end with leads dropped at random, tested with lead I only",
        lead_masking=True,
        probed=False,
    ),
    "generative": Method(
        description=(
            "a network synthesises the other eleven leads from lead I; fine-tune: the 12-lead teacher classifies "
            "them as it is; probe: a linear layer on its embedding of them"
        ),
        kind="generative",
    ),
    "age-sex": Method(
        description="logistic regression of age and sex, no ECG; fine-tune repeats the probe on all labels",
        kind="age-sex",
    ),
}

"""The rivals as a table: what each method does before fine-tuning, and what it adds to it.

All share the encoder, its initialisation, the views, the fine-tuning, and the steps of pre-training where there is
one; what differs is in the fields. CAVEATS belong beside every table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Pretraining: TypeAlias = Literal[
    "selfmis",
    "selfmis-nobias",
    "selfmis-every-lead",
    "selfmis-every-lead+labels",
    "infonce",
    "feature",
    "reconstruction",
    "labels",
    "labels-every-lead",
]
EVERY_LEAD: Final[frozenset[Pretraining]] = frozenset(
    {"selfmis-every-lead", "selfmis-every-lead+labels", "labels-every-lead"}
)
LABELLED: Final[frozenset[Pretraining]] = frozenset(
    {"labels", "labels-every-lead", "selfmis-every-lead+labels"}
)
CAVEATS: Final = (
    "Labels: the 12-lead teacher is supervised. A method that listens to it has met every training label through it, "
    "also where its probe is given 1 % of them; the column `labels before probe` says who has",
    "Steps: a method without pre-training takes fewer steps of the optimiser than one with it (column `steps`); "
    "`scratch-long` and `lead-masking` take as many, the latter all in the batches of fine-tuning; what a teacher took is "
    "not counted",
)
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

    def labels_before_probe(self, *, student: bool = False, teacher: bool = False) -> str:
        """Which training labels its encoder had met before a probe was given any; `-` where nothing is probed.

        student, teacher: whether the encoder that it begins with, and the teacher, were given; what those had met is
        in their reports, if anywhere.
        """
        if not self.probed:
            return "-"
        itself = self.pretraining in LABELLED
        taught = self.listens or self.kind == "generative"
        ways = ["itself"] * itself + ["by teacher"] * (taught and not teacher)
        met = [f"all, {' and '.join(ways)}"] if ways else []
        if student and self.kind != "age-sex":
            met.append("those of the encoder that it began with")
        if taught and teacher:
            met.append("those of the teacher that was given")
        return "; ".join(met) or "none"

    @property
    def scales(self) -> bool:
        """Whether a learning curve can be drawn: with soft labels it would need inner teachers at every point."""
        return self.kind == "network" and not self.response


def listens(pretraining: Pretraining | None) -> bool:
    """Whether an objective of pre-training is told the teacher's embedding."""
    return pretraining not in (None, "reconstruction", "labels", "labels-every-lead")


METHODS: Final[dict[str, Method]] = {
    "scratch": Method(
        description="supervised from scratch on lead I; its probes are of a random encoder and are the floor"
    ),
    "scratch-long": Method(
        description=(
            "scratch with the steps of a pre-trained method: supervised on lead I for those of pre-training, then the "
            "same fine-tuning"
        ),
        pretraining="labels",
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
    "labels-every-lead-response": Method(
        description="labels-every-lead, then response distillation; edge-mi with labels instead of alignment",
        pretraining="labels-every-lead",
        response=True,
        probed=False,  # its encoder is that of labels-every-lead
    ),
    "selfmis-labels-every-lead": Method(
        description="segments of every lead are aligned and taught the labels at once",
        pretraining="selfmis-every-lead+labels",
    ),
    "edge-mi": Method(
        description="the recipe that ships: selfmis-every-lead, then response distillation",
        pretraining="selfmis-every-lead",
        response=True,
        probed=False,  # its encoder is that of selfmis-every-lead
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
            "that did not see the record; edge-mi without the alignment"
        ),
        response=True,
        probed=False,
    ),
    "unaligned": Method(
        description="self-supervised on lead I alone: hidden stretches of it are reconstructed",
        pretraining="reconstruction",
    ),
    "lead-masking": Method(
        description=(
            "one 12-lead network trained end to end with leads dropped at random, tested with lead I only; the steps "
            "of pre-training and of fine-tuning in one go"
        ),
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

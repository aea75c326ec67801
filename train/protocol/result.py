"""What a method leaves behind to be judged: logits out of fold, and features of every record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Regime: TypeAlias = Literal["probe_1", "probe_10", "probe_100", "finetune"]
REGIMES: Final[tuple[Regime, ...]] = ("probe_1", "probe_10", "probe_100", "finetune")

ANY_MI: Final = "any_mi"
# the nine infarction statements of PTB-XL that the field reports
TYPES: Final = ("ALMI", "AMI", "ASMI", "ILMI", "IMI", "IPLMI", "IPMI", "LMI", "PMI")
OUTPUTS: Final = (ANY_MI, *TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """One method on one store.

    logits: regime -> one array a seed, float32 (records, len(OUTPUTS)), pooled over the held-out groups, NaN
    where a record was not predicted or an output had no positive to train on. features: one array a seed,
    float32 (groups, records, dim): what the pre-trained, frozen lead-I encoder of each split gives for every
    record, those that it was trained on included; that of `scratch` is random; empty for a method without a
    frozen encoder. Steps of the optimiser are means over the splits. labels_before_probe: which training labels
    the encoder had met, itself or through the teacher.
    """

    name: str
    parameters: int
    logits: Mapping[Regime, tuple[NDArray[np.float32], ...]]
    features: tuple[NDArray[np.float32], ...]
    pretraining_steps: int
    finetuning_steps: int
    labels_before_probe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolResult:
    """Everything a table is made of.

    groups: the held-out folds of each split. teacher: float32 (groups, records, dim), the 12-lead embedding
    of every record by the teacher of each split; teacher_without_i: the same with lead I at 0 mV. method -> result in
    the order of the configuration.
    """

    groups: tuple[tuple[int, ...], ...]
    seeds: tuple[int, ...]
    methods: tuple[MethodResult, ...]
    teacher: NDArray[np.float32]
    teacher_without_i: NDArray[np.float32]
    teacher_logits: tuple[NDArray[np.float32], ...]

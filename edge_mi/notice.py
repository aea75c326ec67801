"""The notice that stands wherever EdgeMI says something about a heart (contract C7)."""

from typing import Final

NOTICE: Final = (
    "Research use only. Not a medical device: do not use it for diagnosis or to decide on care. "
    "A negative result does not rule out a heart attack. With symptoms, call your emergency number."
)
FINDING: Final = "pattern of myocardial infarction"

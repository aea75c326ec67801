"""Which patch is meant: by name, address or service, and only an allowed one."""

from __future__ import annotations

import pytest
from edge_mi.firmware_bridge.target import target_of

from edge_mi.errors import ConfigError

ADDRESS = "A0:9E:1A:00:00:01"
SERVICE = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("Polar H10", True),
        ("polar h", True),
        ("H10", False),
        (ADDRESS, True),
        (ADDRESS.lower(), True),
        ("A0:9E:1A:00:00:02", False),
        (SERVICE.upper(), True),
        (SERVICE.replace("5c80", "5c81"), False),
    ],
)
def test_a_name_an_address_or_a_service(text: str, matches: bool) -> None:
    assert target_of(text).matches("Polar H10 1234", ADDRESS, [SERVICE]) is matches


def test_nothing_is_named_by_no_name() -> None:
    assert not target_of("Polar").matches("", ADDRESS, [])


def test_only_an_allowed_address_is_connected_to() -> None:
    target = target_of("Polar", [ADDRESS.lower()])
    assert target.matches("Polar H10", ADDRESS, [])
    assert not target.matches("Polar H10", "A0:9E:1A:00:00:02", [])


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="empty"):
        target_of(text)


@pytest.mark.parametrize("address", ["A0:9E:1A:00:00", "strap", ""])
def test_an_allowed_address_must_be_one(address: str) -> None:
    with pytest.raises(ConfigError, match="no address"):
        target_of("Polar", [address])

"""Documents are read as their dataclass says, or refused with the place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_mi import strict


@dataclass(frozen=True)
class Inner:
    x: float
    kind: Literal["a", "b"]


@dataclass(frozen=True)
class Outer:
    name: str
    n: int
    flag: bool
    pair: tuple[float, float] | None
    many: tuple[Inner, ...]
    named: dict[str, int]

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError("n must not be negative")


EXAMPLE = Outer("é", 1, True, (0.5, 2.0), (Inner(1.0, "a"), Inner(-3e-9, "b")), {"k": 3})


@given(
    st.builds(
        Outer,
        st.text(),
        st.integers(0, 2**40),
        st.booleans(),
        st.none() | st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2),
        st.lists(
            st.builds(Inner, st.floats(allow_nan=False, allow_infinity=False), st.sampled_from("ab"))
        ).map(tuple),
        st.dictionaries(st.text(), st.integers()),
    )
)
def test_reading_what_was_written_gives_the_same(value: Outer) -> None:
    assert strict.loads(strict.dumps(value), Outer) == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "unknown key extra"),
        ({"n": "1"}, "n: expected int, found '1'"),
        ({"n": True}, "n: expected int, found True"),
        ({"n": -1}, "document: n must not be negative"),
        ({"pair": [1.0]}, "pair: expected 2 values, found 1"),
        ({"many": [{"x": 1, "kind": "c"}]}, r"many\[0\].kind: expected one of a, b, found 'c'"),
        ({"many": [{"x": 1, "kind": "a", "y": 0}]}, r"unknown key many\[0\].y"),
        ({"named": [1]}, r"named: expected an object, found \[1\]"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change: dict[str, object], message: str) -> None:
    document = strict.encode(EXAMPLE) | change
    with pytest.raises(strict.DocumentError, match=message):
        strict.decode(document, Outer)


@pytest.mark.parametrize("text", ["", "{", "[1", '{"name": NaN}', '{"x": Infinity}', "[" * 100_000])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(strict.DocumentError, match="not JSON"):
        strict.loads(text, Outer)


def test_a_missing_key_is_named() -> None:
    document = strict.encode(EXAMPLE)
    del document["flag"]
    with pytest.raises(strict.DocumentError, match="missing key flag"):
        strict.decode(document, Outer)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"schema": 2}', 2),
        ('{"schema": 1}', None),
        ("[" * 100_000, None),
        ('{"schema": true}', None),
        ("{", None),
    ],
)
def test_another_schema_is_told_whatever_else_is_wrong(text: str, schema: int | None) -> None:
    assert strict.other_schema(text, 1) == schema


def test_a_document_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(strict.DocumentError, match="too deeply"):
        strict.parse("[" * 100_000)

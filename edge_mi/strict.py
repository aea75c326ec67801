"""JSON documents to frozen dataclasses and back, refusing whatever the dataclass does not name."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class DocumentError(ValueError):
    """A document that does not have the shape of its dataclass; the message names the place."""


def encode(value: Any) -> Any:
    """The JSON form of a dataclass tree: objects, arrays, numbers, strings, booleans and null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def dumps(value: Any) -> str:
    """The document of `value` as text: one line for each leaf array, the same text for the same value."""
    return _layout(encode(value), 0) + "\n"


def _layout(value: Any, depth: int) -> str:
    pad, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict) and value:
        rows = [f"{pad}{json.dumps(k)}: {_layout(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{end}}}"
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return "[\n" + ",\n".join(pad + _layout(item, depth + 1) for item in value) + f"\n{end}]"
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def loads(text: str, kind: type[T]) -> T:
    """Read `text` as a `kind`.

    Raises DocumentError where it is not JSON, a key is unknown or missing, or a value has another type.
    """
    return decode(parse(text), kind)


def parse(text: str) -> Any:
    """`text` as a parsed JSON document. Raises DocumentError where it is none, or gives a key twice."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_repetition)
    except ValueError as exc:
        raise DocumentError(f"not JSON: {exc}") from exc
    except RecursionError as exc:
        raise DocumentError("not JSON: nested too deeply") from exc


def other_schema(text: str | bytes, expected: int) -> int | None:
    """The schema that a document states, where it is another whole number than `expected`; else None.

    Asked before its keys are looked at, so that an old document is called old and not wrong; what is wrong with one
    that states none, `loads` says better.
    """
    try:
        schema = json.loads(text)["schema"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return schema if type(schema) is int and schema != expected else None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)} is given twice")
    return document


def decode(document: Any, kind: type[T], where: str = "") -> T:
    """Read a parsed JSON document as a `kind`; see `loads`."""
    result: T = _decode(document, kind, where)
    return result


def _decode(document: Any, kind: Any, where: str) -> Any:
    if kind is Any:
        return document
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(document, kind, where)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(document, args, where)
    if origin is tuple:
        return _decode_tuple(document, args, where)
    if origin is dict:
        if not isinstance(document, dict):
            raise DocumentError(f"{where or 'document'}: expected an object, found {_show(document)}")
        return {key: _decode(item, args[1], f"{where}.{key}") for key, item in document.items()}
    if args and origin is not None:  # Literal
        if type(document) not in (str, int) or document not in args:  # True is no 1
            raise DocumentError(
                f"{where}: expected one of {', '.join(map(str, args))}, found {_show(document)}"
            )
        return document
    return _decode_scalar(document, kind, where)


def _decode_dataclass(document: Any, kind: Any, where: str) -> Any:
    if not isinstance(document, dict):
        raise DocumentError(f"{where or 'document'}: expected an object, found {_show(document)}")
    hints = get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]
    prefix = f"{where}." if where else ""
    for key in document:
        if key not in names:
            raise DocumentError(f"unknown key {prefix}{key}")
    for name in names:
        if name not in document:
            raise DocumentError(f"missing key {prefix}{name}")
    values = {name: _decode(document[name], hints[name], prefix + name) for name in names}
    try:
        return kind(**values)
    except DocumentError:
        raise
    except (ValueError, TypeError, OverflowError) as exc:
        raise DocumentError(f"{where or 'document'}: {exc}") from exc


def _decode_union(document: Any, args: tuple[Any, ...], where: str) -> Any:
    if document is None and type(None) in args:
        return None
    failures = []
    for option in args:
        if option is type(None):
            continue
        try:
            return _decode(document, option, where)
        except DocumentError as exc:
            failures.append(exc)
    raise failures[0]


def _decode_tuple(document: Any, args: tuple[Any, ...], where: str) -> Any:
    if not isinstance(document, list):
        raise DocumentError(f"{where}: expected an array, found {_show(document)}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_decode(item, args[0], f"{where}[{i}]") for i, item in enumerate(document))
    if len(document) != len(args):
        raise DocumentError(f"{where}: expected {len(args)} values, found {len(document)}")
    return tuple(
        _decode(item, kind, f"{where}[{i}]")
        for i, (item, kind) in enumerate(zip(document, args, strict=True))
    )


def _decode_scalar(document: Any, kind: Any, where: str) -> Any:
    if kind is float and isinstance(document, (int, float)) and not isinstance(document, bool):
        try:
            value = float(document)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise DocumentError(f"{where}: expected a finite number, found {_show(document)}")
        return value
    if kind in (int, str, bool) and type(document) is kind:
        return document
    raise DocumentError(f"{where}: expected {kind.__name__}, found {_show(document)}")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

"""Tables of a collection, row by row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from edge_mi.errors import RecordError


def table_rows(path: Path, needed: tuple[str, ...], expected: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and columns of every row of a CSV with a header; `expected` says in errors what it should be.

    Raises RecordError for a file that cannot be read, has no column of `needed`, or a row of another length.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval=None)
            missing = [name for name in needed if name not in (reader.fieldnames or [])]
            if missing:
                raise RecordError(f"{path}: no column {', '.join(missing)}; expected {expected}")
            for row in reader:
                if None in row or None in row.values():
                    raise RecordError(
                        f"{path}, line {reader.line_num}: found another number of columns than in the header; "
                        f"expected {expected}: download it again"
                    )
                yield reader.line_num, row
    except OSError as exc:
        raise RecordError(
            f"{path} cannot be read ({exc.strerror}); expected {expected}: give the folder of the collection"
        ) from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise RecordError(f"{path} is no CSV in UTF-8; expected {expected}: download it again") from exc

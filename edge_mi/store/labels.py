"""The labels of a store's records as columns: 800,000 of them open in a blink, and one is a `StoredRecord` on demand."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import StoreError

Stage: TypeAlias = Literal["recent", "old"]

_STAGES: Final[tuple[Stage, ...]] = ("recent", "old")
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """One record's labels; `mi` and `norm` are None where the source gives no labels at all.

    codes: statement -> likelihood in percent, 0 where the source does not know it. age_years: 90 stands for
    90 and over; None where unknown. female: None where unknown. stage: age of the infarction, None where unknown.
    """

    record_id: str
    patient_id: str
    fold: int
    mi: bool | None
    norm: bool | None
    codes: dict[str, float]
    age_years: float | None
    female: bool | None
    stage: Stage | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RecordTable(Sequence[StoredRecord]):
    """Records as columns, n long where nothing else is said.

    id_bytes uint8, id_ends int64: record ids in UTF-8, one after the other, and where each ends. patient int32:
    position in patient_names. folds int64. mi, norm, female, stage int8: 0 or 1, -1 where unknown; a stage is
    0 recent or 1 old. ages_years float64, NaN where unknown. code int32: positions in code_names of all
    statements of all records, code_likelihoods float64 beside it, code_ends int64 where those of each record end.
    """

    id_bytes: NDArray[np.uint8]
    id_ends: NDArray[np.int64]
    patient: NDArray[np.int32]
    patient_names: NDArray[np.str_]
    folds: NDArray[np.int64]
    mi: NDArray[np.int8]
    norm: NDArray[np.int8]
    female: NDArray[np.int8]
    stage: NDArray[np.int8]
    ages_years: NDArray[np.float64]
    code: NDArray[np.int32]
    code_likelihoods: NDArray[np.float64]
    code_ends: NDArray[np.int64]
    code_names: NDArray[np.str_]

    @classmethod
    def of(cls, records: Iterable[StoredRecord]) -> RecordTable:
        """The columns of `records`, which are taken one by one."""
        ids, patients = bytearray(), bytearray()
        id_ends, patient_ends, code_ends = array("q"), array("q"), array("q")
        folds, code, likelihoods, ages = array("q"), array("i"), array("d"), array("d")
        flags = {name: array("b") for name in ("mi", "norm", "female", "stage")}
        names: dict[str, int] = {}
        for record in records:
            ids += record.record_id.encode()
            id_ends.append(len(ids))
            patients += record.patient_id.encode()
            patient_ends.append(len(patients))
            folds.append(record.fold)
            for name in ("mi", "norm", "female"):
                flags[name].append(_flag(getattr(record, name)))
            flags["stage"].append(_UNKNOWN if record.stage is None else _STAGES.index(record.stage))
            ages.append(np.nan if record.age_years is None else record.age_years)
            for statement, likelihood in record.codes.items():
                code.append(names.setdefault(statement, len(names)))
                likelihoods.append(likelihood)
            code_ends.append(len(code))
        unique, patient = np.unique(
            _fixed_width(bytes(patients), np.array(patient_ends, dtype=np.int64)), return_inverse=True
        )
        return cls(
            id_bytes=np.frombuffer(bytes(ids), dtype=np.uint8),
            id_ends=np.array(id_ends, dtype=np.int64),
            patient=patient.astype(np.int32),
            patient_names=np.char.decode(unique, "utf-8"),
            folds=np.array(folds, dtype=np.int64),
            **{name: np.array(values, dtype=np.int8) for name, values in flags.items()},
            ages_years=np.array(ages, dtype=np.float64),
            code=np.array(code, dtype=np.int32),
            code_likelihoods=np.array(likelihoods, dtype=np.float64),
            code_ends=np.array(code_ends, dtype=np.int64),
            code_names=np.array(list(names), dtype=np.str_),
        )

    @classmethod
    def from_columns(cls, columns: dict[str, NDArray[Any]]) -> RecordTable:
        """The table of the columns of `columns()`. Raises ValueError where they do not make one."""
        names = [field.name for field in fields(cls)]
        if sorted(columns) != sorted(names):
            raise ValueError(f"columns {', '.join(sorted(columns))}; expected {', '.join(sorted(names))}")
        table = cls(**columns)
        n = len(table.folds)
        for name in names:
            column, kind = columns[name], _DTYPES[name]
            if column.ndim != 1 or (column.dtype.kind != "U" if kind is str else column.dtype != kind):
                raise ValueError(f"column {name} is {column.dtype} of shape {column.shape}")
            if name not in _OTHER_LENGTHS and len(column) != n:
                raise ValueError(f"column {name} has {len(column)} rows, folds has {n}")
        for ends, total in ((table.id_ends, len(table.id_bytes)), (table.code_ends, len(table.code))):
            if n and (ends[0] < 0 or ends[-1] != total or (np.diff(ends) < 0).any()):
                raise ValueError("a column's ends are out of order")
        for positions, known in ((table.patient, table.patient_names), (table.code, table.code_names)):
            if len(positions) and not 0 <= positions.min() <= positions.max() < len(known):
                raise ValueError("a column points beyond its names")
        if len(table.code_likelihoods) != len(table.code):
            raise ValueError("statements and likelihoods differ in number")
        return table

    def columns(self) -> dict[str, NDArray[Any]]:
        """Name -> column."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __len__(self) -> int:
        return len(self.folds)

    @overload
    def __getitem__(self, row: int) -> StoredRecord: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[StoredRecord, ...]: ...
    def __getitem__(self, row: int | slice) -> StoredRecord | tuple[StoredRecord, ...]:
        if isinstance(row, slice):
            return tuple(self[i] for i in range(*row.indices(len(self))))
        row = range(len(self))[row]
        first, end = self._span(self.code_ends, row)
        age = float(self.ages_years[row])
        return StoredRecord(
            record_id=self.record_id(row),
            patient_id=str(self.patient_names[self.patient[row]]),
            fold=int(self.folds[row]),
            mi=_known(self.mi[row]),
            norm=_known(self.norm[row]),
            codes={
                str(self.code_names[code]): float(likelihood)
                for code, likelihood in zip(
                    self.code[first:end], self.code_likelihoods[first:end], strict=True
                )
            },
            age_years=None if np.isnan(age) else age,
            female=_known(self.female[row]),
            stage=None if self.stage[row] == _UNKNOWN else _STAGES[self.stage[row]],
        )

    def record_id(self, row: int) -> str:
        """The id of one record."""
        first, end = self._span(self.id_ends, row)
        return self.id_bytes[first:end].tobytes().decode()

    def code_matrix(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which record has which of the statements `names`, bool (n, len(names))."""
        at = {name: column for column, name in enumerate(names)}
        column_of = np.array([at.get(name, -1) for name in self.code_names.tolist()], dtype=np.int64)
        columns, rows = column_of[self.code], self._code_rows()
        matrix = np.zeros((len(self), len(names)), dtype=np.bool_)
        matrix[rows[columns >= 0], columns[columns >= 0]] = True
        return matrix

    def code_counts(self, rows: NDArray[np.int64]) -> dict[str, int]:
        """Statement -> how many of the records `rows`, each there once, have it."""
        chosen = np.zeros(len(self), dtype=np.bool_)
        chosen[rows] = True
        counts = np.bincount(self.code[chosen[self._code_rows()]], minlength=len(self.code_names))
        return {str(name): int(count) for name, count in zip(self.code_names, counts, strict=True) if count}

    def _code_rows(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self)), np.diff(self.code_ends, prepend=0))

    @staticmethod
    def _span(ends: NDArray[np.int64], row: int) -> tuple[int, int]:
        return (int(ends[row - 1]) if row else 0), int(ends[row])


_DTYPES: Final[dict[str, type]] = {
    "id_bytes": np.uint8, "id_ends": np.int64, "patient": np.int32, "patient_names": str, "folds": np.int64,
    "mi": np.int8, "norm": np.int8, "female": np.int8, "stage": np.int8, "ages_years": np.float64,
    "code": np.int32, "code_likelihoods": np.float64, "code_ends": np.int64, "code_names": str,
}  # fmt: skip
_OTHER_LENGTHS: Final = {"id_bytes", "patient_names", "code", "code_likelihoods", "code_names"}


class LabelledRecords:
    """What `records` say of their patients, as arrays in their order."""

    __slots__ = ()
    records: RecordTable

    @property
    def patients(self) -> NDArray[np.str_]:
        """Patient ids, (records,)."""
        return self.records.patient_names[self.records.patient]

    @property
    def folds(self) -> NDArray[np.int64]:
        """Folds, int64 (records,)."""
        return self.records.folds

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 for a pattern of myocardial infarction, else 0; int64 (records,). Raises StoreError without labels."""
        return _all_known(self.records.mi)

    @property
    def norms(self) -> NDArray[np.int64]:
        """1 for a normal ECG, else 0; int64 (records,). Raises StoreError without labels."""
        return _all_known(self.records.norm)

    @property
    def ages_years(self) -> NDArray[np.float64]:
        """Ages, float64 (records,), NaN where unknown; 90 stands for 90 and over."""
        return self.records.ages_years

    def check_labelled(self) -> None:
        """Raises StoreError where records have no label; before hours of training, not after."""
        _all_known(self.records.mi)

    def ids_of(self, rows: Iterable[int]) -> list[str]:
        """The ids of the records `rows`."""
        return [self.records.record_id(int(row)) for row in rows]


def check_patients(records: Iterable[StoredRecord]) -> None:
    """Raises StoreError, naming the patient, where one lies in more than one fold (contract C12)."""
    table = records if isinstance(records, RecordTable) else RecordTable.of(records)
    order = np.argsort(table.patient, kind="stable")
    patient, folds = table.patient[order], table.folds[order]
    wrong = np.flatnonzero((patient[1:] == patient[:-1]) & (folds[1:] != folds[:-1]))
    if len(wrong):
        raise StoreError(two_folds(str(table.patient_names[patient[wrong[0]]]), *folds[wrong[0] :][:2]))


def two_folds(patient_id: str, one: int, other: int) -> str:
    """What is wrong with a patient in two folds, and what to do."""
    return (
        f"patient {patient_id} is in folds {one} and {other}; a patient may be in one only: "
        "correct the folds of the source"
    )


def _fixed_width(text: bytes, ends: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Texts that lie one after the other as an array of bytes of one width."""
    lengths = np.diff(ends, prepend=0)
    width = max(1, int(lengths.max(initial=0)))
    cells = np.zeros((len(ends), width), dtype=np.uint8)
    cells[np.arange(width) < lengths[:, None]] = np.frombuffer(text, dtype=np.uint8)
    return cells.view(f"S{width}").reshape(len(ends))


def _flag(value: bool | None) -> int:
    return _UNKNOWN if value is None else int(value)


def _known(value: np.int8) -> bool | None:
    return None if value == _UNKNOWN else bool(value)


def _all_known(values: NDArray[np.int8]) -> NDArray[np.int64]:
    unknown = int((values == _UNKNOWN).sum())
    if unknown:
        raise StoreError(
            f"{unknown} of {len(values)} records have no label; they can be aligned on, not taught or judged with"
        )
    return values.astype(np.int64)

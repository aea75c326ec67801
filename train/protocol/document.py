"""Writing a report: results, table and plots in one folder, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from edge_mi import strict
from edge_mi.errors import ConfigError
from edge_mi.files import new_folder
from edge_mi.metrics import RESAMPLES
from edge_mi.store import WindowStore

from ..resamples import Floats
from .curve import CurvePoint
from .plots import PLOTS, plots, require_plots
from .report import Report, make_report
from .result import ProtocolResult
from .table import table_text

RESULTS: Final = "results.json"
TABLE: Final = "table.md"
FILES: Final = (RESULTS, TABLE, *(f"{name}.{ending}" for name in PLOTS for ending in ("svg", "png")))


def write_report(
    result: ProtocolResult,
    store: WindowStore,
    config_text: str,
    out: Path,
    command: str,
    curve: Sequence[CurvePoint] = (),
    *,
    descriptions: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
    st_mv: Floats | None = None,
) -> Report:
    """Judge `result` and write the folder `out`: results.json, table.md and the plots.

    The arguments after `command` are those of `make_report`.
    Raises MissingDependency without Matplotlib, ConfigError for a result that is not of this store, OutputError
    where `out` exists or cannot be written; what is found before anything is computed is found at once.
    """
    require_plots()
    with new_folder(out, ours=FILES) as folder:
        report = make_report(
            result,
            store,
            config_text,
            command,
            curve,
            descriptions=descriptions,
            resamples=resamples,
            st_mv=st_mv,
        )
        (folder / RESULTS).write_text(strict.dumps(report), encoding="utf-8")
        (folder / TABLE).write_text(table_text(report), encoding="utf-8")
        for name, content in plots(report).items():
            (folder / name).write_bytes(content)
    return report


def read_report(path: Path) -> Report:
    """The report in the folder `path`. Raises ConfigError where its results cannot be read as one."""
    try:
        return strict.loads((path / RESULTS).read_text(encoding="utf-8"), Report)
    except (OSError, UnicodeDecodeError, strict.DocumentError) as exc:
        raise ConfigError(
            f"{path / RESULTS}: {exc}; expected the results of edge-mi train reproduce"
        ) from exc

"""A page of tables and charts as one HTML file: no script, nothing from outside, light and dark, paper and phone.

What is not `Html` is escaped wherever it is put in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that is not plain text: a number stands to the right, words keep room, a hash is in letters of one width."""

    text: str
    kind: str = "number"


Content: TypeAlias = str | Cell

# a page that says so cannot be made to load anything, whatever is written into it
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1c2126; --soft: #59636d; --line: #d9dde0; --faint: #eceef0;
  --weight: #3c6e9f; --output: #2f7d6b; --error: #b0582b; --notice: #8a3324; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e3e6e8; --soft: #9aa4ad; --line: #343a40;
  --faint: #23282c; --weight: #7aa9d6; --output: #66b8a3; --error: #dd8f63; --notice: #e59a8a; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 0.9375rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; }
.notice { margin: 0 0 2rem; padding: 0.1rem 0 0.1rem 0.9rem; border-left: 3px solid var(--notice); max-width: 46rem; }
h1 { margin: 0; font-size: 1.65rem; line-height: 1.25; font-weight: 600; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { margin: 3rem 0 0.9rem; font-size: 1.15rem; font-weight: 600; }
h3 { margin: 2.25rem 0 0.35rem; padding-top: 1.1rem; border-top: 1px solid var(--line); font-size: 1rem; font-weight: 600; }
p { margin: 0 0 0.9rem; max-width: 46rem; color: var(--soft); }
.notice, .under { color: var(--ink); }
.under { margin: 0.2rem 0 2rem; color: var(--soft); }
dl { margin: 0; display: grid; grid-template-columns: 8.5rem 1fr; }
dt, dd { margin: 0; padding: 0.4rem 0; border-top: 1px solid var(--faint); }
dt { color: var(--soft); }
dd { overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 0 0 1.25rem; /* a shade at the edge behind which a narrow screen hides columns */
  background: linear-gradient(to left, var(--paper) 40%, transparent) right / 4rem 100% no-repeat local,
    linear-gradient(to left, var(--line), transparent) right / 0.6rem 100% no-repeat scroll; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; line-height: 1.4; }
th, td { padding: 0.38rem 0 0.38rem 1rem; border-bottom: 1px solid var(--faint); text-align: left;
  vertical-align: baseline; }
th:first-child, td:first-child { padding-left: 0; }
th.number { white-space: normal; }
th { border-bottom-color: var(--line); color: var(--soft); font-weight: 500; vertical-align: bottom; }
.number { text-align: right; white-space: nowrap; }
.words { min-width: 9rem; }
.hash { font: 0.75rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere;
  min-width: 17rem; }
tr.sum td { border-top: 1px solid var(--line); border-bottom: 0; color: var(--soft); }
.grid-of-charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1.1rem 2.25rem;
  margin: 0.6rem 0 1.5rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 0.8125rem; color: var(--soft); }
figcaption b { display: block; margin-bottom: 0.3rem; font-weight: 500; color: var(--ink); }
.note { padding-left: 11.5%; }
svg { display: block; }
.chart { width: 100%; height: auto; }
.interval { width: 7.5rem; height: 1rem; vertical-align: middle; display: inline-block; }
.interval .grid { stroke: var(--line); }
svg text { font-size: 10.5px; fill: var(--soft); }
svg .name, svg .value { fill: var(--ink); }
svg .grid { stroke: var(--faint); fill: none; }
svg .line { stroke: var(--soft); stroke-width: 0.75; fill: none; }
svg .weight { fill: var(--weight); }
svg .output { fill: var(--output); }
svg .error { fill: var(--error); }
svg .range { stroke: var(--soft); stroke-width: 1.5; fill: none; }
svg .dot { fill: var(--ink); }
details { margin: 0.5rem 0 0; }
summary { cursor: pointer; color: var(--soft); margin-bottom: 0.75rem; }
footer { margin-top: 3rem; padding-top: 0.9rem; border-top: 1px solid var(--line); font-size: 0.8125rem;
  color: var(--soft); }
@media (max-width: 34rem) { body { padding: 1.25rem 1rem 3rem; } dl { grid-template-columns: 1fr; }
  dt { padding-bottom: 0; } dd { padding-top: 0; border-top: 0; }
  svg text { font-size: 13px; } .words { min-width: 6.5rem; } .interval { width: 5rem; } }
@media print { body { max-width: none; padding: 0; } figure, tr { break-inside: avoid; } }
"""


def page(title: str, heading: str, under: str, notice: str, parts: Iterable[Html], foot: str) -> Html:
    """The whole document; the notice stands first."""
    return Html(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<p class="notice">{escape(notice)}</p>\n<header>\n<h1>{escape(heading)}</h1>\n'
        f'<p class="under">{escape(under)}</p>\n</header>\n<main>\n{"".join(parts)}</main>\n'
        f"<footer>{escape(foot)}</footer>\n</body>\n</html>\n"
    )


def section(heading: str, *parts: Html, level: int = 2) -> Html:
    """A heading and what stands under it."""
    return Html(f"<section>\n<h{level}>{escape(heading)}</h{level}>\n{''.join(parts)}</section>\n")


def paragraph(text: str) -> Html:
    """A line of explanation."""
    return Html(f"<p>{escape(text)}</p>\n")


def definitions(rows: Iterable[tuple[str, str]]) -> Html:
    """Names and what they are."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{_text(value)}</dd>\n" for name, value in rows)
    return Html(f"<dl>\n{items}</dl>\n")


def details(summary: str, *parts: Html) -> Html:
    """What is shown on request."""
    return Html(f"<details>\n<summary>{escape(summary)}</summary>\n{''.join(parts)}</details>\n")


def table(header: Sequence[str], rows: Sequence[Sequence[Content]], *, sums: bool = False) -> Html:
    """Rows under a header, each column headed as its cells are set; sums: the last row adds up the others."""
    kinds = [next((row[i] for row in rows if isinstance(row[i], Cell)), "") for i in range(len(header))]
    head = "".join(
        f"<th{_class(kind) if isinstance(kind, Cell) and kind.kind == 'number' else ''}>{escape(name)}</th>"
        for name, kind in zip(header, kinds, strict=True)
    )
    opening = ["<tr>"] * len(rows)
    if sums:
        opening[-1] = '<tr class="sum">'
    body = "".join(f"{tag}{''.join(map(_cell, row))}</tr>\n" for tag, row in zip(opening, rows, strict=True))
    return Html(
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'
    )


def charts(*figures: Html) -> Html:
    """Charts beside each other where there is room."""
    return Html(f'<div class="grid-of-charts">\n{"".join(figures)}</div>\n')


def figure(caption: str, chart: Html, note: str = "") -> Html:
    """A chart with its caption above it and a note below."""
    below = f'<figcaption class="note">{escape(note)}</figcaption>' if note else ""
    return Html(f"<figure><figcaption><b>{escape(caption)}</b></figcaption>{chart}{below}</figure>\n")


def _cell(content: Content) -> str:
    if isinstance(content, Cell):
        return f"<td{_class(content)}>{_text(content.text)}</td>"
    return f"<td>{_text(content)}</td>"


def _class(cell: Cell) -> str:
    return f' class="{escape(cell.kind)}"'


def _text(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)

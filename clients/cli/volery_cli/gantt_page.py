"""A timeline as a page that stands alone: one file, no scripts, readable by day and by night."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from volery_cli.gantt import Part, Row, Timeline
from volery_cli.output import span

CHART = 900
LABELS = 260
ROW = 22
FINEST = 600
"""Rows of several bars, which may lie over each other, are drawn by cells, of which a row has so many."""

MOST_STEPS = 40

NAMES = {Part.WAITING: "waiting", Part.STARTUP: "startup", Part.CODE: "code", Part.COMMIT: "commit"}

STYLE = """
:root { --ink: #1c2430; --dim: #6b7686; --paper: #ffffff; --line: #e3e7ed;
  --waiting: #c9d1dc; --startup: #e0a030; --code: #2f9e6e; --commit: #4a7fd6; --bad: #c43d3d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf1; --dim: #97a3b4; --paper: #151a21;
  --line: #2a323d; --waiting: #3b4654; } }
body { margin: 2rem; background: var(--paper); color: var(--ink); font: 14px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.2rem; margin: 0 0 .2rem; } p { margin: .2rem 0; color: var(--dim); }
svg { display: block; margin: 1rem 0; max-width: 100%; height: auto; }
text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.dim { fill: var(--dim); } .bad { fill: var(--bad); }
.waiting { fill: var(--waiting); } .startup { fill: var(--startup); } .code { fill: var(--code); }
.commit { fill: var(--commit); } line { stroke: var(--line); }
table { border-collapse: collapse; } td, th { padding: .15rem 1.2rem .15rem 0; text-align: left; }
td + td, th + th { text-align: right; font-variant-numeric: tabular-nums; }
th { color: var(--dim); font-weight: 500; }
.sign { display: inline-block; width: .7em; height: .7em; margin-right: .5em; border-radius: 2px; }
"""


def page(found: Timeline) -> str:
    """The whole page."""
    name = escape(found.name)
    phase = escape(found.phase.lower().replace("_", " "))
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>{name}</title><style>{STYLE}</style></head><body>",
            f"<h1>{name}</h1><p>{phase}, {span(found.seconds)}, {len(found.bars)} attempts</p>",
            *_chart(found),
            *_table(found),
            f"<p>Critical path: {escape(' → '.join(found.path_names(MOST_STEPS)))}</p>",
            "</body></html>",
            "",
        )
    )


def _chart(found: Timeline) -> Iterator[str]:
    whole = max([found.seconds, *(bar.end for bar in found.bars)], default=0.0) or 1.0
    height = ROW * (len(found.rows) + 1) + 8
    width = LABELS + CHART + 70
    yield f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="Gantt chart">'
    for tick in range(6):
        x = LABELS + CHART * tick / 5
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{ROW - 4}" y2="{height}"/>'
        yield f'<text class="dim" x="{x:.1f}" y="12" text-anchor="middle">{span(whole * tick / 5)}</text>'
    for number, row in enumerate(found.rows):
        yield from _row(row, ROW * (number + 1), whole)
    yield "</svg>"


def _row(row: Row, top: float, whole: float) -> Iterator[str]:
    style = ' class="bad"' if row.phase in ("FAILED", "TIMED_OUT") else ""
    label = escape(row.label if len(row.label) <= 36 else f"{row.label[:35]}…")
    yield f'<text{style} x="{12 * row.depth}" y="{top + 14}">{label}<title>{escape(row.path)}</title></text>'
    if not row.bars:
        return
    yield "<g>"
    yield f"<title>{escape(_told(row))}</title>"
    if len(row.bars) == 1:
        for bar in row.bars:
            for segment in bar.segments:
                yield _box(segment.part, segment.begin / whole, segment.end / whole, top)
    else:
        cells = row.cells(whole, FINEST)
        begin = 0
        for index in range(1, FINEST + 1):
            if index == FINEST or cells[index] is not cells[begin]:
                part = cells[begin]
                if part is not None:
                    yield _box(part, begin / FINEST, index / FINEST, top)
                begin = index
    yield "</g>"
    x = LABELS + CHART * row.end / whole + 6
    yield f'<text class="dim" x="{x:.1f}" y="{top + 14}">{span(row.end - row.begin)}</text>'


def _box(part: Part, begin: float, end: float, top: float) -> str:
    width = max(CHART * (end - begin), 0.4)
    x = LABELS + CHART * begin
    return f'<rect class="{NAMES[part]}" x="{x:.2f}" y="{top + 3}" width="{width:.2f}" height="{ROW - 8}"/>'


def _told(row: Row) -> str:
    parts = [f"{part.value} {span(sum(bar.seconds(part) for bar in row.bars))}" for part in Part]
    return f"{row.path}: {len(row.bars)} attempts; {', '.join(parts)}"


def _table(found: Timeline) -> Iterator[str]:
    on_path = found.path_sums()
    yield "<table><tr><th>where the time went</th><th>all attempts</th><th>on the critical path</th></tr>"
    for part in Part:
        name = "commit and decisions" if part is Part.COMMIT else part.value
        sign = f'<span class="sign" style="background: var(--{NAMES[part]})"></span>'
        yield (
            f"<tr><td>{sign}{part.value}</td><td>{span(found.sums[part])}</td>"
            f"<td>{span(on_path[name])}</td></tr>"
        )
    yield "</table>"

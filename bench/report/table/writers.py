"""Tables as CSV (the contract), Markdown and LaTeX; HTML is the page's."""

import csv
import io
import re
from collections.abc import Iterable, Iterator

from bench.io.tables import quoted
from bench.report.table.kinds import KINDS
from bench.report.table.table import OURS, PAPER, Table
from bench.report.table.view import Panel, ShownCell, view

TEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
TEX_LETTERS = {
    "μ": r"$\mu$",
    "±": r"$\pm$",
    "\u00d7": r"$\times$",
    "\u2013": "--",
    "Δ": r"$\Delta$",
    "|": r"\textbar{}",
    # Triangles that need no package.
    "▲": r"$\bigtriangleup$",
    "▼": r"$\bigtriangledown$",
}
TEX_ESCAPES = TEX_SPECIAL | TEX_LETTERS

CODE = re.compile(r"`([^`]+)`")
"""A name in code, as captions and footnotes mark it."""


def to_csv(table: Table) -> str:
    """Write every column in the contract's order; an empty cell has its reason in `note`.

    A name that a spreadsheet would run as a formula has a quote before it (`bench.io.tables.unquoted` takes it away).
    """
    table = table.tidy or table
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.key for column in table.columns])
    for row in table.rows:
        cells = {"note": row.note, **row.cells}
        writer.writerow([quoted(column.exact(cells.get(column.key))) for column in table.columns])
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """Write title, one pipe table a panel, caption, kinds of rows and footnotes; bold is best, underlined second."""
    shown = view(table)
    parts = [f"**{_md(shown.title)}**", *(_md_panel(panel) for panel in shown.panels), _md(shown.caption)]
    found = {row.cells.get("kind") for row in table.rows}
    legend = "; ".join(f"*{kind}*: {meaning}" for kind, meaning in KINDS.items() if kind in found)
    parts += [f"Kinds of rows: {legend}."] if legend else []
    parts += ["\n".join(f"- <sup>{letter}</sup> {_md(text)}" for letter, text in shown.footnotes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _md_panel(panel: Panel) -> str:
    # Markdown has no spanning headings: each column names its group; a long label stands above the table instead.
    long = {group.name: group.label for group in panel.groups if group.name in (OURS, PAPER)}
    prefixes = [group.name if group.name in long else group.label for group in panel.groups for _ in range(group.span)]
    heads = [f"{prefix} {column.head}".strip() for prefix, column in zip(prefixes, panel.columns, strict=True)]
    legend = f"Columns: {'; '.join(long.values())}" if long else ""
    lines = [_md_line(_md(head) for head in heads)]
    lines.append(_md_line("---:" if column.digits is not None else ":---" for column in panel.columns))
    lines += [_md_line(_md_cell(cell) for cell in line.cells) for line in panel.lines]
    heading = _md(". ".join(part for part in (panel.heading, legend) if part))
    return "\n\n".join([*([f"*{heading}*"] if heading else []), "\n".join(lines)])


def _md_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)


def _md_cell(cell: ShownCell) -> str:
    text = _md(cell.line)
    wrapped = {"best": f"**{text}**", "second": f"<u>{text}</u>"}.get(cell.mark, text)
    return wrapped + (f" <sup>{cell.letters}</sup>" if cell.letters else "")


def tex(text: str) -> str:
    """Escape text for LaTeX, Greek letters and dashes included; what stands between backticks is set as code."""
    return CODE.sub(r"\\texttt{\1}", "".join(TEX_ESCAPES.get(letter, letter) for letter in text))


def _tex_cell(cell: ShownCell) -> str:
    text = tex(cell.line)
    wrapped = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(cell.mark, text)
    return wrapped + (rf"\textsuperscript{{{cell.letters}}}" if cell.letters else "")


def to_latex(table: Table) -> str:
    """Write a table* with booktabs rules (needs packages booktabs and graphicx), one tabular a panel."""
    shown = view(table)
    title = re.sub(r"^Table \d+\. ", "", shown.title)  # LaTeX numbers tables itself
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize",
        rf"\caption{{{tex(title)}. {tex(shown.caption)}}}",
        rf"\label{{tab:{shown.name}}}",
        *(line for panel in shown.panels for line in _tex_panel(panel)),
    ]
    if shown.footnotes:
        notes = [rf"\textsuperscript{{{letter}}}~{tex(text)}." for letter, text in shown.footnotes]
        lines += [r"\par\smallskip\raggedright\scriptsize", "\\quad\n".join(notes)]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def _tex_panel(panel: Panel) -> Iterator[str]:
    if panel.heading:
        yield rf"\medskip\par\textit{{{tex(panel.heading)}}}\par\smallskip"
    yield r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    yield rf"\begin{{tabular}}{{{''.join('l' if column.digits is None else 'r' for column in panel.columns)}}}"
    yield r"\toprule"
    rules, start = "", 1
    for group in panel.groups:
        rules += rf"\cmidrule(lr){{{start}-{start + group.span - 1}}}" if group.label else ""
        start += group.span
    if rules:
        yield _tex_line(rf"\multicolumn{{{group.span}}}{{c}}{{{tex(group.label)}}}" for group in panel.groups)
        yield rules
    yield _tex_line(tex(column.head) for column in panel.columns)
    yield r"\midrule"
    yield from (_tex_line(map(_tex_cell, line.cells)) for line in panel.lines)
    yield r"\bottomrule"
    yield r"\end{tabular}}"


def _tex_line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"

"""The report page: one HTML file that opens from disk and needs nothing else."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bench.core.decisions import READINGS, Decision, decisions
from bench.core.errors import BenchError
from bench.core.params import Params
from bench.report.table.kinds import KINDS
from bench.report.table.table import Table
from bench.report.table.view import view
from bench.report.table.writers import CODE

TEMPLATES = Path(__file__).parent / "templates"

LIMIT = 5_000_000


class Figure(NamedTuple):
    """A figure on the page: file name without ending, the file's bytes (PNG or WebP), what it shows."""

    name: str
    picture: bytes
    title: str
    caption: str

    @property
    def file(self) -> str:
        """File name."""
        return f"{self.name}.{'webp' if is_webp(self.picture) else 'png'}"


@dataclass(frozen=True)
class PageSection:
    """A part of the page: what it shows in sentences, tables, figures, and a sentence for each thing missing."""

    anchor: str
    title: str
    intro: str = ""
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    missing: Sequence[str] = ()
    findings: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """The page's content: the profile's parameters, a box of facts about it, and its sections."""

    params: Params
    facts: Mapping[str, str]
    findings: Sequence[str] = ()
    sections: Sequence[PageSection] = field(default=())


def render(page: Page) -> str:
    """Return the page as HTML; equal input gives equal bytes. Above 5 MB raises BenchError."""
    tables = [table for section in page.sections for table in section.tables]
    found = {row.cells.get("kind") for table in tables for row in table.rows}
    html: str = (
        environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            views={table.name: view(table) for table in tables},
            kinds={kind: meaning for kind, meaning in KINDS.items() if kind in found},
            papers=[section.title for section in page.sections if section.anchor in ("table1", "table2", "table3")],
            decided=[_decided(one) for one in decisions(page.params) if _concerns(one, page.params)],
        )
    )
    if len(html.encode()) > LIMIT:
        largest = max((f for s in page.sections for f in s.figures), key=lambda figure: len(figure.picture))
        raise BenchError(
            f"the report page would be {len(html.encode()) / 1e6:.1f} MB, {LIMIT / 1e6:.0f} MB is the limit; the "
            f"largest picture is {largest.name}. Name fewer variants under `tables.crops`."
        )
    return html


def _concerns(decision: Decision, params: Params) -> bool:
    """Tell whether a decision concerns what this profile trains, or the networks that it was given weights of."""
    if decision.field.startswith("stage1."):
        return bool(params.codebooks)
    return bool(params.runs or params.codebooks or any(variant.weights for variant in params.variants.values()))


def _decided(decision: Decision) -> Decision:
    other = decision not in READINGS and decision.default != decision.value
    return decision._replace(value=_plain(decision.value), default=_plain(decision.default) if other else "")


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_webp(picture: bytes) -> bool:
    """Tell whether the bytes of a picture are WebP's."""
    return picture[:4] == b"RIFF" and picture[8:12] == b"WEBP"


def data_uri(picture: bytes) -> str:
    """Return a picture as data URI: a PNG as lossless WebP, which takes fewer bytes, a WebP as it is."""
    from PIL import Image

    if not is_webp(picture):
        out = io.BytesIO()
        Image.open(io.BytesIO(picture)).convert("RGB").save(out, format="WEBP", lossless=True, method=4)
        picture = out.getvalue()
    return f"data:image/webp;base64,{base64.b64encode(picture).decode()}"


def size(picture: bytes) -> tuple[int, int]:
    """Return width and height in pixels, so that the page doesn't jump while it loads."""
    from PIL import Image

    return Image.open(io.BytesIO(picture)).size


@cache
def environment() -> Any:
    """Return the templates' environment: autoescaped, strict about missing names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"data_uri": data_uri, "size": size, "code": code}
    return made


def code(text: str) -> Any:
    """Escape text for HTML, what stands between backticks set as code."""
    from markupsafe import Markup, escape

    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))

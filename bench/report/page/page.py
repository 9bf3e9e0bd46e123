"""The report's pages: a front and what stands beside it, HTML that opens from disk and asks no net for anything."""

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
from bench.report.figures.style import SCALE
from bench.report.page.chart import MethodChart
from bench.report.table.kinds import KINDS
from bench.report.table.table import Table
from bench.report.table.view import page_view
from bench.report.table.writers import CODE

TEMPLATES = Path(__file__).parent / "templates"

LIMIT = 1_500_000
"""Bytes of the front, which opens within a second."""

FRONT, FOLDER = "index.html", "pages"
HOMES = {
    "crops": ("crops", "Crops"),
    "masks": ("areas", "Where methods differ"),
    "cross": ("areas", ""),
    "differences": ("areas", ""),
    "sizes": ("areas", ""),
    "support": ("support", "What is supported"),
    "protocol": ("protocols", "Protocols"),
    "protocols": ("protocols", "Protocols"),
    "why": ("protocols", "Protocols"),
    "codebooks": ("codebooks", "Codebooks"),
    "recipes": ("recipes", "Recipes"),
    "curves": ("curves", "Learning curves"),
    "views": ("views", "Test views"),
    "decisions": ("decisions", "Decisions"),
}
"""Section -> the page that it stands on, and that page's title; sections that aren't here stand on the front."""


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

    @property
    def kind(self) -> str:
        """Whether it is a plot, which dark pages turn dark, or holds photographs."""
        return "photographs" if is_webp(self.picture) else "plot"


@dataclass(frozen=True)
class PageSection:
    """A part of the page: what it shows in sentences, tables, figures, and a sentence for each thing missing.

    text : lines of a file, shown as they are.
    """

    anchor: str
    title: str
    intro: str = ""
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    missing: Sequence[str] = ()
    findings: Sequence[str] = ()
    text: str = ""


class PageFinding(NamedTuple):
    """A sentence of the front, and where more of it stands: a link and its words."""

    text: str
    link: str
    words: str


@dataclass(frozen=True)
class Front:
    """What stands above the tables.

    standing : in a line, what was measured.
    caution  : what nobody should read into it.
    crop     : the figure of crops, and the scene that it shows.
    links    : words -> address, from the page's folder.
    """

    standing: str = ""
    caution: str = ""
    chart: MethodChart | None = None
    findings: Sequence[PageFinding] = ()
    crop: Figure | None = None
    scene: str = ""
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """The pages' content: the profile's parameters, a box of facts about it, the front, and sections.

    viewer : address of the page that compares images, from the front's folder; "" without one.
    """

    params: Params
    facts: Mapping[str, str]
    front: Front = Front()
    sections: Sequence[PageSection] = field(default=())
    viewer: str = ""


def render(page: Page) -> dict[str, str]:
    """Return file -> HTML of the front and of the pages beside it; equal input gives equal bytes.

    A front above 1.5 MB raises BenchError.
    """
    decided = [_decided(one) for one in decisions(page.params) if _concerns(one, page.params)]
    homes: dict[str, list[PageSection]] = {"": []}
    for section in page.sections:
        homes.setdefault(HOMES.get(section.anchor, ("",))[0], []).append(section)
    there = {*homes, *(["decisions"] if decided else [])}
    titles = {name: title for name, title in HOMES.values() if title and name in there}
    contents = {FRONT: "Results", **({page.viewer: "Compare images"} if page.viewer else {})}
    contents |= {f"{FOLDER}/{name}.html": title for name, title in titles.items()}
    made = {}
    for name in ("", *titles):
        file = f"{FOLDER}/{name}.html" if name else FRONT
        made[file] = _html(page, name, file, homes.get(name, []), contents, decided if name == "decisions" else [])
    if (size := len(made[FRONT].encode())) > LIMIT:
        raise BenchError(
            f"the report's front would be {size / 1e6:.1f} MB, {LIMIT / 1e6:.1f} MB is the limit; name fewer rows "
            "under `tables`."
        )
    return made


def _html(
    page: Page,
    name: str,
    file: str,
    sections: Sequence[PageSection],
    contents: Mapping[str, str],
    decided: Sequence[Decision],
) -> str:
    tables = [table for section in sections for table in section.tables]
    found = {row.cells.get("kind") for table in tables for row in table.rows}
    html: str = (
        environment()
        .get_template("page.html.j2" if name else "front.html.j2")
        .render(
            page=page,
            front=page.front,
            file=file,
            title=contents[file],
            contents=contents,
            up="../" if name else "",
            sections=sections,
            views={table.name: page_view(table) for table in tables},
            kinds={kind: meaning for kind, meaning in KINDS.items() if kind in found},
            papers=[section.title for section in page.sections if section.anchor in ("table1", "table2", "table3")],
            decided=decided,
        )
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
    """Return width and height on the page in pixels, so that it doesn't jump while it loads."""
    from PIL import Image

    width, height = Image.open(io.BytesIO(picture)).size
    return width // SCALE, height // SCALE


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

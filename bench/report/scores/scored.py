"""Tables 1-3: our scores beside the paper's printed values, and what each row is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.core.recipe import published
from bench.core.registry import methods, metrics, protocols
from bench.report.results import gains, paired
from bench.report.results.caption import BASES, OWN_HEAD, SUBMITTED, absent, caption, conditions, data, seeds
from bench.report.results.gains import Gain
from bench.report.results.inputs import DEFAULT_BLOCK, Measured, Paper
from bench.report.results.paired import PRIMARY, PairedTest
from bench.report.results.results import Summary, single_protocol
from bench.report.scores.published import synthetic
from bench.report.table.kinds import LEARNED
from bench.report.table.table import OURS, PAPER, Column, Row, Table, Value, hidden, rank

PARAMETERS = " Parameters are the trained ones."
NOT_YET = "not in this version or profile yet"
NO_SCORES = "no scores of it in this profile"
NO_ROW = "no such row in the paper"
NO_WEIGHTS = "has no weights"
CONTROL = "a control of ours, no row of the paper"
CONTROLS = " Control rows are ours: they stand below the paper's rows and take no part in best and second."
TESTED = (
    " Difference: in PSNR-μ, of the seeds and scenes that both rows have, with its 95 % interval from the paired "
    "bootstrap over seeds, places and views. p is two-sided and corrected after Holm over the table's {count} "
    "{tests}; the intervals aren't. {name} holds all metrics."
)
RUNNER_UP = (
    " Each learned row is tested against the best other one, the best row against the runner-up; which that is, the "
    "same scenes decide."
)
ONE_SEED = f" Rows of one seed are tested over places, {paired.WEIGHTS}: it doesn't tell what another seed would give."
WHERE = (
    " Inside areas: where the reference frame is saturated, where something moves{uncovered}; the masks table has more."
)
ELSEWHERE = " Point at a number of the paper to see what others print of that method (reports/literature)."
NO_CODE = "no public implementation (the paper's dagger)"
AFTER = "published after the paper: an optional row"
THIRD_PARTY = "weights by others ({source}), not trained here"
OTHER_DATA = "other data, not comparable"
NO_AREA = "no scene has such an area, or it wasn't scored"
NO_GAIN = "not told by a submission"
PROPOSAL = "olc"
"""The paper's method, whose rows have labels of their own."""


def metric_column(metric: str) -> Column:
    """Return the column of a registered metric, as its card says."""
    card = metrics[metric]
    return Column(metric.replace("-", "_"), card.label, OURS, card.digits, card.better)


PAPER_METRICS = ("psnr-mu", "psnr-l", "psnr-pu", "ssim-mu", "ssim-l", "ssim-pu", "hdrvdp2")
"""The metrics that the paper prints, in its order."""

METRICS = tuple(map(metric_column, PAPER_METRICS))

PRINTED = tuple(Column(f"paper_{c.key}", c.head, PAPER, c.digits, more=True) for c in METRICS)
PARAMS = Column("params_m", "params (M)", "", 3, more=True)
SIZES = (
    Column("macs_256_g", "GMACs 256x256", "", 2, more=True),
    Column("macs_full_g", "GMACs 1000x1500", "", 1, more=True),
    Column("published_params_m", "full size: params (M)", "", 3, more=True),
    Column("published_macs_256_g", "full size: GMACs 256x256", "", 1, more=True),
    Column("published_macs_full_g", "full size: GMACs 1000x1500", "", 0, more=True),
)
"""Multiply-adds of the networks as this profile has them, and both at their published size; Table 1 alone has these."""
FIRST = ("psnr_mu", "hdrvdp2")
"""Columns that the page shows first."""
DIFFERENCE = Column("psnr_mu_difference", "PSNR-μ difference, 95 %", OURS, more=True)
GAIN = Column("psnr_mu_gain", "PSNR-μ gain over base, 95 %", OURS)
AREAS = {"": "whole", "@saturated": "saturated", "@moving": "moving", "@uncovered": "uncovered"}
"""Ending of a metric in score rows -> name of the area that it is the mean of."""
STANDING = hidden("scenes", "seeds", "protocol")


def column_key(score: str, area: str) -> str:
    """Return the column that holds a score inside an area."""
    return f"{score}{area}".replace("-", "_").replace("@", "_")


INSIDE = {
    PRIMARY + area: Column(column_key(PRIMARY, area), f"PSNR-μ {name}", OURS, 2, "higher", optional=True)
    for area, name in AREAS.items()
    if area
}
"""Metric inside an area -> its column, which a table has where a row of it holds the score."""


def score_columns(protocol: str) -> tuple[Column, ...]:
    """Return the paper's metrics, then what else the protocol has that its metric's card calls a column."""
    named = protocols[protocol].metrics if protocol in protocols else ()
    more = (metric_column(name) for name in named if metrics[name].column)
    return (*METRICS, *(column for column in more if column not in METRICS))


def columns(number: int, scores: Sequence[Column] = (*METRICS, *INSIDE.values())) -> tuple[Column, ...]:
    """Return the columns of the paper's Table `number` (the CSV's contract); 2 and 3 name our variant."""
    first = number == 1
    variant = () if first else (Column("variant", "our variant", more=True),)
    head = (*hidden("dataset"), Column("method", "method"), *variant, Column("kind", "kind"), PARAMS)
    return (*head, *(SIZES if first else ()), *scores, GAIN, DIFFERENCE, *PRINTED, *STANDING, *hidden("note"))


def table(paper: Paper, measured: Measured) -> Table:
    """Build one of Tables 1-3: a panel for each measured data set, and one for each printed block left over.

    Rows of two protocols raise BenchError.
    """
    panels, made_up = datasets_of(paper, measured), synthetic(measured.params)
    blocks = {panel: panel if panel in paper.blocks else DEFAULT_BLOCK for panel in panels}
    same = {panel for panel, block in blocks.items() if panel == block and panel not in made_up}
    rest = [block for block in paper.blocks if block not in blocks.values()]
    tests = paired.tests(paper, measured, panels)
    builder = _Builder(paper, measured, same, tests, _gains(paper, measured, panels))
    rows = [row for panel, block in blocks.items() for row in builder.panel(panel, block)]
    rows += [builder.printed(block, record) for block in rest for record in paper.rows(block)]
    single_protocol((str(row.cells["protocol"]) for row in rows if row.cells["protocol"]), f"Table {paper.number}")
    headings = {
        panel: f"Measured here on {panel}{' (synthetic data of this name)' if panel in made_up else ''}"
        for panel in panels
    }
    headings |= {block: f"{block.capitalize()}: printed values only, not measured in this profile" for block in rest}
    groups = {(panel, OURS): f"ours on {panel}" for panel in panels}
    for panel, block in {**blocks, **{block: block for block in rest}}.items():
        apart = "" if panel in same or panel in rest else f" ({OTHER_DATA})"
        groups[panel, PAPER] = f"paper on {block.capitalize()}{apart}"
    return Table(
        name=f"table{paper.number}",
        title=f"Table {paper.number}. {paper.title}",
        caption=_caption(paper, measured, panels, rows) + "".join(builder.reading(panels)),
        columns=builder.columns,
        rows=rank(rows, builder.scores, ("dataset", "protocol", "scenes")),
        headings=headings,
        groups=groups,
        brief=_gist(paper, measured, panels),
        first=FIRST,
    )


def _gist(paper: Paper, measured: Measured, panels: Sequence[str]) -> str:
    used, _ = of_rows(paper, measured)
    if not used:
        return ""
    standing = f"Means over {data(measured.params, used, panels)}; {seeds(used)}; protocol {used[0].protocol}."
    return f"{standing} Best in bold, second underlined, among networks measured here."


def _caption(paper: Paper, measured: Measured, panels: Sequence[str], rows: Sequence[Row]) -> str:
    used, cards = of_rows(paper, measured)
    text = caption(measured.params, cards, used, panels) + PARAMETERS
    kinds = {row.cells["kind"] for row in rows}
    text += CONTROLS if any(row.cells["method"] in paper.controls for row in rows) else ""
    text += f" {SUBMITTED}" if "submitted" in kinds else ""
    scored = {column.key.replace("_", "-") for column in METRICS} & {name for result in used for name in result.values}
    return f"{text} {conditions(used[0].protocol, scored, measured.params)}".strip() if used else text


def _best_epochs() -> str:
    """Tell which published scores are of the epoch that was best on the test set, and what users got, as cards say."""
    told = {card.label: found for card in methods.values() if (found := published(card))}
    chosen = ", ".join(label for label, found in told.items() if found.best_epoch)
    users = [f"{got.got} for {label}'s {got.published}" for label, found in told.items() if (got := found.users)]
    return (
        f" Published scores of {chosen} are of the best epoch on the test set, ours of the last step; users of public "
        f"codes got {', and '.join(users)}."
    )


def _wanted(paper: Paper, measured: Measured) -> set[str]:
    return {*paper.own.values(), *(measured.params.tables.floors if paper.number == 1 else ())}


def of_rows(paper: Paper, measured: Measured) -> tuple[list[Summary], dict[str, Mapping[str, Any]]]:
    """Return the results of the variants in a table's rows, and the cards of their runs."""
    wanted = _wanted(paper, measured)
    results = [result for (variant, _), result in sorted(measured.results.items()) if variant in wanted]
    return results, {run: card for run, card in measured.cards.items() if card.get("variant") in wanted}


def datasets_of(paper: Paper, measured: Measured) -> list[str]:
    """Return the data sets that have a panel of their own: those on which rows of this table were measured."""
    wanted = _wanted(paper, measured)
    tested = dict.fromkeys(entry.dataset for entry in measured.params.evaluations.values())
    rows = {name: sum((variant, name) in measured.results for variant in wanted) for name in tested}
    # One row of Table 2 or 3 on another set compares with nothing: such a panel would be dashes.
    enough = 2 if paper.number != 1 and max(rows.values(), default=0) > 1 else 1
    return [name for name, count in rows.items() if count >= enough]


Place = tuple[str, str]
"""(panel, label of a row)."""


def _gains(paper: Paper, measured: Measured, panels: Sequence[str]) -> dict[Place, Gain]:
    found = {
        (panel, label): gains.gain(variant, measured, panel)
        for panel in panels
        for label, variant in paper.own.items()
        if (variant, panel) in measured.results
    }
    return {place: gain for place, gain in found.items() if gain}


@dataclass
class _Builder:
    """Rows of one table.

    same : data sets on which the paper printed values too.
    """

    paper: Paper
    measured: Measured
    same: set[str]
    tests: Mapping[Place, PairedTest]
    gains: Mapping[Place, Gain]

    def __post_init__(self) -> None:
        used, _ = of_rows(self.paper, self.measured)
        self.inside = {metric: column for metric, column in INSIDE.items() if any(metric in one.values for one in used)}
        self.scores = (*score_columns(self.measured.params.protocol), *self.inside.values())
        self.metrics = {column.key: column.key.replace("_", "-") for column in self.scores}
        self.metrics |= {column.key: metric for metric, column in self.inside.items()}
        self.columns = columns(self.paper.number, self.scores)

    def reading(self, panels: Sequence[str]) -> Iterator[str]:
        """Yield what a reader should know of areas, gains, tests and the paper's columns."""
        first, found = self.paper.number == 1, list(self.tests.values())
        if self.paper.elsewhere:
            yield ELSEWHERE
        if self.inside:
            known = ", and where another frame doesn't show what the reference shows (uncovered)"
            yield WHERE.format(uncovered=known if f"{PRIMARY}@uncovered" in self.inside else "")
        if self.gains:
            several = len(panels) > 1
            named = {f"{label} on {panel}" if several else label: gain for (panel, label), gain in self.gains.items()}
            yield gains.READING + gains.sentence(named)
        if found:
            tests = "test" if len(found) == 1 else "tests"
            yield TESTED.format(name=f"table{self.paper.number}_differences", count=len(found), tests=tests)
            yield RUNNER_UP if first else ""
            yield ONE_SEED if any(test.told and test.difference.seeds < 2 for test in found) else ""
            yield paired.rough(test.difference.places for test in found)
        yield _best_epochs() if first else ""

    def panel(self, panel: str, block: str) -> Iterator[Row]:
        """Floors, the paper's rows, ours that it lacks, controls, submissions; floors and submissions in Table 1."""
        paper, measured, first = self.paper, self.measured, self.paper.number == 1
        for name in measured.params.tables.floors if first else ():
            result, notes = measured.results.get((name, panel)), measured.choices(name)
            remarks = dict.fromkeys((PARAMS.key, *(column.key for column in SIZES)), NO_WEIGHTS)
            yield self.row(panel, {"method": name}, "floor", name, result, NO_SCORES, remarks=remarks, notes=notes)
        for record in (*paper.rows(block), *({"method": label} for label in (*paper.extra(block), *paper.controls))):
            yield self.variant(panel, record)
        for name, tested in sorted(measured.submitted) if first else ():
            if tested == panel:
                remarks = {column.key: "a submission has no network to count" for column in SIZES}
                remarks[PARAMS.key], fewer = "not told by a submission", measured.fewer(name, panel)
                result, ranked = measured.submitted[name, panel], not fewer
                yield self.row(panel, {"method": name}, "submitted", name, result, "", {}, remarks, fewer, ranked)

    def variant(self, panel: str, record: Mapping[str, Any]) -> Row:
        """Return the row of a label on a measured data set, whether a variant of ours stands in it or not."""
        label, measured = str(record["method"]), self.measured
        variant = self.paper.own.get(label, "")
        result, card = measured.results.get((variant, panel)), measured.card(variant)
        kind = self.kind(record, variant, bool(result))
        missing = NO_SCORES if variant else NOT_YET
        if kind == "published":
            reasons = (known.unavailable for known in methods.every.values() if known.label == label)
            missing = next(reasons, "") or NO_CODE
        cells, remarks = self.size(variant, card)
        if result and "parameters" in card:
            cells[PARAMS.key] = card["parameters"] / 1e6
        elif result:
            remarks[PARAMS.key] = "no card of its weights" if card else NO_WEIGHTS
        notes, ranked = tuple(self.notes(panel, label, variant, card)), bool(result and card)
        return self.row(panel, record, kind, variant, result, missing, cells, remarks, notes, ranked)

    def printed(self, block: str, record: Mapping[str, Any]) -> Row:
        """Return a row of a block of which nothing was measured."""
        variant = self.paper.own.get(str(record["method"]), "")
        missing = f"not measured on {block.capitalize()}'s data in this profile"
        kind = "pending" if variant else self.kind(record, "", False)
        remarks = {} if variant else {"variant": NOT_YET}
        return self.row(block, record, kind, variant, None, missing, remarks=remarks)

    def kind(self, record: Mapping[str, Any], variant: str, scored: bool) -> str:
        """Return what kind of row a label makes."""
        if not scored:
            dagger = str(record.get("implementation_unavailable", "no")) == "yes"
            return "published" if dagger and not variant else "pending"
        if record["method"] in self.paper.controls:
            return "control"
        known, own = self.measured.params.variants, "trainset" in self.measured.card(variant)
        return "measured-third-party-weights" if variant in known and known[variant].weights and not own else "measured"

    def size(self, variant: str, card: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, str]]:
        """Return the cells of `SIZES`, or their remarks."""
        if variant not in self.measured.params.variants:
            return {}, {}
        sizes = self.measured.sizes.get(variant)
        if sizes is None:
            method = self.measured.params.variants[variant].method
            network = card or (method in methods and methods[method].trains)
            why = "not counted in this profile" if network else NO_WEIGHTS
            return {}, {column.key: why for column in SIZES}
        cells: dict[str, Value] = {"published_params_m": sizes["published"]["parameters"] / 1e6}
        for prefix, part in (("", "measured"), ("published_", "published")):
            cells |= {f"{prefix}macs_{name}_g": sizes[part][f"macs_{name}"] / 1e9 for name in ("256", "full")}
        return cells, {}

    def notes(self, panel: str, label: str, variant: str, card: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is to be known of a row: how its network and weights differ from the label's."""
        measured, params = self.measured, self.measured.params
        yield from measured.choices(variant)
        if panel not in self.same:
            yield f"paper_*: {OTHER_DATA}"
        if smaller := measured.smaller(label, variant):
            yield smaller
        name = params.variants[variant].method if variant in params.variants else ""
        if name in methods:
            method = methods[name]
            if method.after_paper:
                yield AFTER
            if self.paper.number == 1 and name != PROPOSAL and method.trains and method.label != label:
                yield f"here {method.label}"
        if card.get("head") == "published" and params.head != "published":
            yield OWN_HEAD.format(head=params.head, base=BASES.get(params.head, "nothing"))
        if "source" in card:
            yield THIRD_PARTY.format(source=f"{card['source']}, sha256 {str(card['source_sha256'])[:12]}")
        if frozen := card.get("parameters_frozen"):
            yield f"plus {frozen / 1e6:.3f} M frozen parameters of the VQGAN; its encoder serves in training only"

    def row(
        self,
        panel: str,
        record: Mapping[str, Any],
        kind: str,
        variant: str,
        result: Summary | None,
        missing: str,
        cells: Mapping[str, Value] | None = None,
        remarks: Mapping[str, str] | None = None,
        notes: tuple[str, ...] = (),
        ranked: bool = False,
    ) -> Row:
        """Return a row with the contract's columns and a reason in each empty one.

        record  : as printed; with nothing but "method" where the paper has no such row.
        missing : why there is no result.
        cells, remarks : of the network's size.
        """
        label = str(record["method"])
        filled: dict[str, Value] = {"dataset": panel, "method": label, "variant": variant or None, "kind": kind}
        filled |= cells or {}
        filled |= {column.key: getattr(result, column.key) if result else None for column in STANDING}
        why = {column.key: missing for column in self.columns} | dict(remarks or {})
        spreads: dict[str, float] = {}
        for column in self.scores:
            score = self.metrics[column.key]
            if result and score in result.values:
                filled[column.key] = result.values[score]
                spreads |= {column.key: result.spreads[score]} if score in result.spreads else {}
            elif result:
                known = score in result.unknown
                none = NO_AREA if column.optional else absent(score, result.protocol)
                why[column.key] = "undefined on every scene" if known else none
        printed, doubts = self.paper_cells(record)
        marks: dict[str, str] = {}
        texts: dict[str, str] = {}
        asides: dict[str, str] = {}
        if test := self.tests.get((panel, label)):
            filled[DIFFERENCE.key] = test.phrase()
        if gain := self.gains.get((panel, label)):
            filled[GAIN.key] = gain.words
            marks = {GAIN.key: "down"} if gain.nothing else {}
            texts, asides = {GAIN.key: gain.short}, {GAIN.key: f"over {gain.base}"}
        if filled.get("psnr_mu") is not None:
            why[DIFFERENCE.key] = "no row to test it against"
            why[GAIN.key] = NO_GAIN if kind == "submitted" else gains.missing(variant, self.measured, panel)
        filled, why = {**filled, **printed}, {**why, **doubts}
        keys = [column.key for column in self.columns if column.key != "note"]
        return Row(
            panel,
            {key: filled.get(key) for key in keys},
            {key: why[key] for key in keys if filled.get(key) is None or key in doubts},
            (*notes, *(result.notes if result else ())),
            spreads,
            marks,
            ranked=ranked and kind in LEARNED,
            texts=texts,
            asides=asides,
            hints=self.hints(record),
        )

    def hints(self, record: Mapping[str, Any]) -> dict[str, str]:
        """Return what other sources print of the row's method, by the paper's columns."""
        block, label = str(record.get("dataset", DEFAULT_BLOCK)), str(record["method"])
        found = {column.key: (block, label, metric) for column, metric in zip(PRINTED, PAPER_METRICS, strict=True)}
        return {key: said for key, place in found.items() if (said := self.paper.elsewhere.get(place))}

    def paper_cells(self, record: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, str]]:
        """Return the paper's values, and remarks on those that are missing or doubtful."""
        cells: dict[str, Value] = {}
        remarks: dict[str, str] = {}
        suspected = str(record.get("suspected_copy_error") or "").split()
        for column in PRINTED:
            key = column.key.removeprefix("paper_")
            if len(record) == 1:
                remarks[column.key] = CONTROL if record["method"] in self.paper.controls else NO_ROW
            elif key not in record:
                remarks[column.key] = f"not in the paper's Table {self.paper.number}"
            elif pd.isna(record[key]):
                remarks[column.key] = "a dash in the paper"
            else:
                cells[column.key] = float(record[key])
                if key in suspected:
                    remarks[column.key] = "suspected copy error in the paper (repeats its Kalantari block); as printed"
        return cells, remarks

"""Training recipes: what each learned row was trained with, beside its publication."""

from collections.abc import Iterator, Mapping
from typing import Any

from bench.core import recipe
from bench.core.recipe import Recipe
from bench.core.registry import methods
from bench.report.results.inputs import Measured
from bench.report.table.table import Column, Row, Table, Value, hidden

COLUMNS = (
    Column("method", "method"),
    *hidden("variant"),
    Column("recipe", "recipe"),
    Column("rate", "learning rate"),
    Column("betas", "Adam's betas"),
    Column("batch", "batch", "", 0),
    Column("length", "length"),
    Column("schedule", "schedule"),
    Column("clip", "clip"),
    Column("patch", "patch", "", 0),
    Column("stride", "stride"),
    Column("turned", "turned by"),
    Column("loss", "loss"),
    Column("perceptual", "perceptual weight", "", 3),
    *hidden("note"),
)
UNKNOWN = "its publication doesn't tell"
NO_CLIP = "no clipping"
BEST_EPOCH = "published scores are of the best epoch on the test set"
INITIALISATIONS = {
    "framework": "the framework's default", "glorot": "Glorot and Bengio's", "he": "He's, cut off",
    "normal": "normal, standard deviation 0.02", "truncated-normal": "normal, standard deviation 0.02, cut off",
}  # fmt: skip
TURNS = {True: "flips and rotations", "flips": "flips", "one-flip": "a flip, half the time", False: "nothing"}
CAPTION = (
    "Two lines a method: the recipe that its row was trained with here, and the published one on its card. `common` is "
    "one recipe for all (stage2 and patches of the parameter file, but for what a variant says differently; own terms "
    "are those that a method can't be trained without, such as HDR-GAN's discriminator). `published` is the card's; "
    "where the publication is silent, the parameter file decides. T is the mu-law, mu = 5000."
)


def table(measured: Measured) -> Table | None:
    """List both recipes of every learned row of Table 1 that has a card; None without any."""
    rows = [row for label, variant in measured.params.rows(1).items() for row in _rows(label, variant, measured)]
    if not rows:
        return None
    return Table(
        name="recipes",
        title="Training recipes",
        caption=f"Profile {measured.params.profile}. {CAPTION}",
        columns=COLUMNS,
        rows=tuple(rows),
    )


def _rows(label: str, variant: str, measured: Measured) -> Iterator[Row]:
    card = measured.card(variant)
    if "settings" in card:
        yield _row(label, variant, _trained(card), f"trained here, {card.get('recipe', 'common')}", ())
    name = card.get("method", "")
    found = recipe.published(methods[name]) if name in methods else None
    if found is not None:
        notes = [f"differs: {found.differs}"] if found.differs else []
        notes += [f"initialisation: {INITIALISATIONS[found.initialisation]}"] if found.initialisation else []
        notes += [BEST_EPOCH] if found.best_epoch else []
        notes += [f"users got {found.users.got} for {found.users.published}"] if found.users else []
        yield _row(label, variant, _printed(found), "as published", tuple(notes))


OLDER = {"rate": "lr", "rate_floor": "min_lr"}


def _row(label: str, variant: str, cells: Mapping[str, Value], kind: str, notes: tuple[str, ...]) -> Row:
    filled: dict[str, Value] = {"method": label, "variant": variant, "recipe": kind, **cells}
    remarks = {c.key: UNKNOWN for c in COLUMNS if c.key != "note" and filled.get(c.key) is None}
    if filled.get("clip") is None:
        remarks["clip"] = NO_CLIP
    return Row("", filled, remarks, notes)


def _trained(card: Mapping[str, Any]) -> dict[str, Value]:
    # Cards that an older version wrote, such as the lab's, call the learning rate `rate`.
    settings = {OLDER.get(name, name): value for name, value in card["settings"].items()}
    patches = card.get("patches", {})
    schedule = settings.get("schedule", "constant")
    if schedule == "decay":
        schedule = _decay(settings["decay"], settings["decay_every"], "steps", settings["min_lr"])
    elif schedule == "cosine":
        schedule = _cosine(settings["min_lr"])
    loss = methods[card["method"]].recipe.get("loss") if card.get("recipe") == "published" else None
    return {
        "rate": f"{settings['lr']:g}", "betas": _pair(settings["betas"]), "batch": settings["batch"],
        "length": f"{settings['steps']} steps", "schedule": schedule,
        "clip": _clip(settings["clip"], settings.get("clip_by", "norm")), "patch": patches.get("size"),
        "stride": _stride(patches.get("stride"), patches.get("per_scene", 0)),
        "turned": TURNS.get(patches.get("augment")),
        "loss": loss or "L1 on T and own terms",
        "perceptual": settings["weight_perceptual"] if card.get("perceptual") != "none" else 0.0,
    }  # fmt: skip


def _printed(found: Recipe) -> dict[str, Value]:
    length = f"{found.epochs} epochs" if found.epochs else f"{found.steps} steps" if found.steps else None
    schedule = "constant"
    if found.decay is not None and found.decay_every is not None:
        schedule = _decay(found.decay, found.decay_every, found.decay_unit, found.min_lr)
    elif found.cosine:
        schedule = _cosine(found.min_lr)
    return {
        "rate": None if found.lr is None else f"{found.lr:g}", "betas": _pair(found.betas), "batch": found.batch,
        "length": length, "schedule": schedule, "clip": _clip(found.clip, found.clip_by), "patch": found.patch,
        "stride": _stride(found.stride, found.per_scene), "turned": TURNS.get(found.augment),
        "loss": found.loss or None, "perceptual": found.weight_perceptual,
    }  # fmt: skip


def _decay(factor: float, every: float, unit: str, floor: float) -> str:
    after = f"{every:.10g} of the {unit}" if unit == "length" else f"{every:.10g} {unit}"
    return f"x {factor:g} every {after}" + (f", not below {floor:g}" if floor else "")


def _cosine(floor: float) -> str:
    return f"half a cosine to {floor:g}"


def _clip(bound: float | None, by: str) -> str | None:
    return None if bound is None else f"{bound:g} ({by})"


def _stride(stride: int | None, per_scene: int) -> str | None:
    if per_scene:
        return f"anywhere, {per_scene} a scene and epoch"
    return None if stride is None else str(stride)


def _pair(betas: Any) -> str:
    return ", ".join(f"{beta:g}" for beta in betas)

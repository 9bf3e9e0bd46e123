"""Every point on which the paper is silent or contradicts itself, with the choice in force."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from bench.core.optimisation import Optimisation, Stage1, Stage2
from bench.core.params import Params, Variant
from bench.core.runs import trains


class Decision(NamedTuple):
    """One point: the parameter or part it concerns, the value in force, the reason for our default, and that default.

    default : None for what is built in, which has no other value.
    """

    field: str
    value: Any
    reason: str
    default: Any = None


READINGS = (
    Decision("segments", "Z_i = codes[(i-1)K/4 : (i+1)K/4], H: all", "the one reading on which eq. 4 and text agree"),
    Decision("eq. 7", "means over all elements", "the norms' scale isn't printed; FeMaSR and VQFR take means"),
    Decision("n_z", "8C", "z_vq has 8C channels and is quantised directly"),
    Decision("z_vq", "1x1 convolution of FSM's output at H/8 to n_z", "'projected' is not specified"),
    Decision("output of D", "sigmoid", "not printed; the authors' earlier code uses it"),
    Decision(
        "normalisation of the discriminators",
        "PatchGAN: GroupNorm, U-Net: spectral norm",
        "BatchNorm would make N processes differ from one",
    ),
    Decision("adversarial loss", "hinge", "the printed generator term fits hinge and Wasserstein alike"),
    Decision("entry convolutions", "one for each frame", "'a convolution layer to all frames' leaves it open"),
    Decision("T of outputs without upper bound", "not clamped at 1", "above 1 a clamp would leave no gradient back"),
    Decision("PA", "3x3 and 5x5 branches, selective-kernel fusion", "order and form of the fusion aren't printed"),
    Decision("deformable convolution of PA", "8 groups at the full size, 2 at smaller ones", "groups aren't printed"),
    Decision("attention of PA", "F_NR * sigmoid(conv-act-conv(F_o))", "form isn't printed; AHDRNet's"),
    Decision("FSM", "at all scales, reduction max(c/2, 16)", "reduction isn't printed; H/8 and H/4 are in the text"),
    Decision("encoders of stage 2", "random initial weights", "the paper uses E for the target only"),
    Decision("gradient through Q", "straight-through", "as FeMaSR and VQFR"),
    Decision("Table 3, rows 1-5", "no H/8 level; their merging makes z_m too", "nothing would use that level"),
    Decision("Table 3, rows 1-6", "U and F_vq enter by concat + 3x3 convolution", "'without RF' names no operator"),
    Decision(
        "scale of F_vq",
        "a constant factor: RMS 0.1 over the codebook",
        "D_VQ's features have no set scale; at 1 they would drown U, which starts that small",
    ),
    Decision("D_F", "on each level residual blocks, RF, then nearest x2 + 3x3 convolution", "order isn't printed"),
    Decision("scales of RF", "three: H/4, H/2, H", "the text doesn't count them; D_F has these levels"),
    Decision("mapping loss", "MSE of z_vq and sg Q(E(H)), mean over elements", "z_gt is printed twice; one is z_vq"),
    Decision(
        "scale of the mapping loss",
        "divided by the codebook's mean square: at weight 1, z_vq = 0 costs about 1",
        "neither weight nor scale of the codes is printed, and the scale decides what a weight means",
    ),
    Decision("RF", "gamma starts at zero, beta doesn't", "beta and a head both at zero are a saddle for U's gradient"),
    Decision("triangle functions of eq. 2", "max(2x-1,0), 1-|2x-1|, max(1-2x,0)", "Kalantari's, of the reference"),
    Decision(
        "vanilla", "the whole codebook for every kind of image", "not defined; what it trains on is stage1.images"
    ),
    Decision("Fig. 7", "PCA of the codes, shares of hits by HDR images", "how codes were projected isn't printed"),
    Decision("VQGAN wider than D_F", "1x1 convolutions of F_vq to 4C, 2C, C", "only variants B and C are; A has none"),
    Decision(
        "control with a random, unfrozen D_VQ",
        "no E, no mapping loss; eq. 7's terms on z_vq with weight 1",
        "the control is ours: row 7's capacity without the knowledge of stage 1",
    ),
)
"""Readings that are built in, because a choice would have no second sensible value."""


def decisions(params: Params) -> Iterator[Decision]:
    """Yield the built-in readings, then every silent parameter with its value in this profile.

    A value that only some codebooks or variants have follows with their names.
    """
    yield from READINGS
    yield from _silent(params, "")
    books = {name: (book.options, params.stage1, params.stage1_of(name)) for name, book in params.codebooks.items()}
    yield from _differences("stage1", books)
    trained = {name: variant for name, variant in params.variants.items() if trains(variant)}
    yield from _differences("stage2", {name: _of_variant(params, variant) for name, variant in trained.items()})


Difference = tuple[Iterable[str], Optimisation, Optimisation]
"""What is stated, the settings without it, and with it."""


def _of_variant(params: Params, variant: Variant) -> Difference:
    plain, own = (params.stage2_of_variant(variant, said) for said in ({}, variant.stage2))
    return variant.stage2, plain, own


def _differences(section: str, stated: Mapping[str, Difference]) -> Iterator[Decision]:
    """Yield what codebooks or variants change of a section, each value once, with the names of those that have it.

    Of a codebook these are points on which the paper is silent; of a variant all: rows of a table are meant to be
    trained alike, so that each difference is our choice.
    """
    names: dict[tuple[str, str], list[str]] = {}
    values: dict[tuple[str, str], Any] = {}
    for name, (options, base, own) in stated.items():
        for option in options:
            value = getattr(own, option)
            if value != getattr(base, option):
                names.setdefault((option, repr(value)), []).append(name)
                values[option, repr(value)] = value
    for (option, text), having in names.items():
        field = (Stage1 if section == "stage1" else Stage2).model_fields[option]
        extra = field.json_schema_extra
        reason = str(extra.get("decided", "")) if isinstance(extra, dict) else ""
        if section == "stage2":
            reason = "not what the others are trained with, see the parameter file"
        if reason:
            yield Decision(f"{section}.{option} of {', '.join(having)}", values[option, text], reason, field.default)


def _silent(section: BaseModel, prefix: str) -> Iterator[Decision]:
    for name, info in type(section).model_fields.items():
        value, extra = getattr(section, name), info.json_schema_extra
        if isinstance(extra, dict) and "decided" in extra:
            yield Decision(prefix + name, value, str(extra["decided"]), info.default)
        elif isinstance(value, BaseModel):
            yield from _silent(value, f"{prefix}{name}.")

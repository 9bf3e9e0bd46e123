"""Settings of the bracket engine: everything that decides which brackets `bench.data.simulate` makes."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from bench.core.section import Section
from bench.core.stress import Stress

Range = tuple[float, float]

SPLITS = ("train", "validation", "test")
"""Splits that have places of their own; scenes without truth show test places."""


class Simulation(Section):
    """Views to photograph, camera, world, things in it, and the bounds of a usable bracket.

    The shares that decide on a bracket are shares of pixels: a pixel is saturated when its brightest channel is at the
    full value, dark when the mean of its three channels is below 6/255 of it.
    """

    seed: int = Field(0, ge=0, description="every random stream is derived from it and from the view's name")
    train: tuple[str, ...] = Field(
        (
            "city", "courtyard", "night", "studio", "sunrise", "sunset",
            "abandoned_games_room_02", "aerodynamics_workshop", "brown_photostudio_02", "comfy_cafe", "future_parking",
            "kloofendal_48d_partly_cloudy", "leadenhall_market", "poly_haven_studio", "sepulchral_chapel_rotunda",
            "snowy_forest_path_01",
        ),
        description="panoramas of training views",
    )  # fmt: skip
    validation: tuple[str, ...] = Field(
        ("dancing_hall", "railway_bridge_02", "vintage_measuring_lab"),
        description="panoramas on which recipes are chosen; neither trained on nor tested on",
    )
    test: tuple[str, ...] = Field(
        (
            "forest", "interior",
            "autoshop_01", "chinese_garden", "modern_buildings_2", "outdoor_umbrellas",
            "peppermint_powerplant", "st_peters_square_night", "thatch_chapel", "vestibule",
        ),
        description="panoramas of test views and truthless scenes",
    )  # fmt: skip
    train_views: int = Field(3, ge=0, description="views of each training panorama")
    validation_views: int = Field(2, ge=0, description="views of each validation panorama")
    test_views: int = Field(1, ge=0, description="views of each test panorama")
    no_truth_scenes: int = Field(2, ge=0, description="scenes without truth, dealt round the test panoramas")

    width: int = Field(320, ge=16, description="pixels; beyond 3.6 px per degree of the field views look soft")
    height: int = Field(224, ge=16, description="pixels")
    field_of_view: float = Field(90.0, gt=10, lt=120, description="horizontal, degrees")
    pitch: Range = Field((-12.0, 18.0), description="elevation of the view's centre, degrees, drawn evenly")
    roll: float = Field(1.0, ge=0, description="standard deviation of the camera's roll, degrees")
    separation: float = Field(
        25.0, ge=0, description="degrees wanted between views of a panorama; relaxed draw by draw"
    )
    rotation_jitter: float = Field(
        0.5, ge=0, description="typical rotation between a frame and the reference, degrees (deviation about each axis)"
    )
    translation: float = Field(
        0.03,
        ge=0,
        description="typical way of a hand-held camera between a frame and the reference, metres (deviation)",
    )

    camera_height: Range = Field((0.9, 1.6), description="of the lens above the floor, metres, drawn evenly")
    radius: Range = Field(
        (8.0, 30.0), description="distance of what the panorama shows above the floor, metres, drawn on a logarithm"
    )
    radius_indoors: Range = Field((3.0, 7.0), description="the same in the panoramas that `indoors` lists")

    ev_steps: tuple[Literal[1, 2, 3, 4], ...] = Field(
        (2, 2, 3, 2), min_length=1, description="between frames (2: t = 1, 4, 16); draw d of view k tries entry k + d"
    )
    bit_depths: tuple[Literal[8, 10, 12, 14, 16], ...] = Field(
        (14, 8, 16, 16, 14), min_length=1, description="quantisation; files hold 16 bits always; view k takes entry k"
    )
    electrons: Range = Field(
        (3000.0, 60000.0),
        description="of a pixel that just saturates, drawn for each view on a logarithm; sets shot noise. A pixel of a "
        "photograph shrunk to 1.5 megapixels holds the electrons of many photosites",
    )
    read_noise: float = Field(3.0, ge=0, description="standard deviation, electrons")
    white_percentile: float = Field(
        99.7, gt=50, le=100, description="of the pixels' brightest channels: this value just saturates the short frame"
    )
    highlight_cap: float = Field(4.0, gt=0, description="radiance is capped at this times its 99.98th percentile")

    objects: tuple[int, int] = Field((2, 4), description="fewest and most moving objects in a view")
    motion: Range = Field((6.0, 36.0), description="pixels that an object moves from one frame to the next")
    blur: float = Field(0.25, ge=0, le=1, description="share of that path covered while the long frame is exposed")
    before_lights: float = Field(
        0.5, ge=0, le=1, description="share of moving objects that are put before the brightest part of the view"
    )
    foreground: tuple[int, int] = Field((1, 4), description="fewest and most static things of the foreground")
    distance: Range = Field((1.3, 6.0), description="of these from the camera, metres, drawn on a logarithm")
    sway: float = Field(1.0, ge=0, description="factor on how far leaves and cloth move between frames")
    indoors: tuple[str, ...] = Field(
        (
            "interior", "studio", "abandoned_games_room_02", "aerodynamics_workshop", "autoshop_01",
            "brown_photostudio_02", "comfy_cafe", "dancing_hall", "peppermint_powerplant",
            "poly_haven_studio", "sepulchral_chapel_rotunda", "thatch_chapel", "vestibule", "vintage_measuring_lab",
        ),
        description="panoramas where things of a room stand",
    )  # fmt: skip
    roads: tuple[str, ...] = Field(
        (
            "city", "night", "sunset", "future_parking", "modern_buildings_2", "outdoor_umbrellas",
            "st_peters_square_night",
        ),
        description="panoramas where vehicles appear",
    )  # fmt: skip

    mid_saturated: Range = Field((0.02, 0.35), description="accepted share of saturated pixels, middle frame")
    long_saturated: Range = Field((0.12, 0.75), description="accepted share of saturated pixels, long frame")
    mid_dark: float = Field(0.35, gt=0, le=1, description="a middle frame with this share of dark pixels is refused")
    max_draws: int = Field(400, ge=1, description="random views tried for one accepted view before giving up")
    stress: Stress = Field(Stress(), description="what the data set `stress` turns, from the settings above")

    @property
    def places(self) -> Mapping[str, tuple[str, ...]]:
        """The panoramas of each split of `SPLITS`."""
        return {split: getattr(self, split) for split in SPLITS}

    @property
    def views(self) -> Mapping[str, int]:
        """Views of each panorama, by split of `SPLITS`."""
        return {split: getattr(self, f"{split}_views") for split in SPLITS}

    def neighbours(self, panorama: str) -> tuple[str, ...]:
        """The panoramas of the same split: what covers a view's objects comes from these alone."""
        home = next(names for names in self.places.values() if panorama in names)
        return tuple(name for name in home if name != panorama)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
            both = sorted(set(getattr(self, one)) & set(getattr(self, other)))
            if both:
                raise ValueError(
                    f"panoramas {both} are in {one} and in {other}; views of one place must stay in one split"
                )
        for name, wanted in self.places.items():
            if len(set(wanted)) != len(wanted):
                raise ValueError(f"{name} names a panorama twice")
            needed = self.views[name] or (name == "test" and self.no_truth_scenes)
            if needed and len(wanted) < 2 and (wanted or name != "validation"):
                raise ValueError(f"{name} needs two panoramas or more: things take their texture from another")
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if field.annotation in (Range, tuple[int, int]) and value[0] > value[1]:
                raise ValueError(f"{name} is a range and must rise: {value[0]} > {value[1]}")
        for name in ("camera_height", "radius", "radius_indoors", "electrons", "distance"):
            if getattr(self, name)[0] <= 0:
                raise ValueError(f"{name} must be above 0: {getattr(self, name)[0]}")
        # The camera must stay inside the dome, above its floor.
        if min(self.radius[0], self.radius_indoors[0]) <= self.camera_height[1] + 8 * self.translation:
            raise ValueError(
                "radius and radius_indoors must lie above camera_height: the camera stands inside the dome"
            )
        return self

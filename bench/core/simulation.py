"""Settings of the bracket engine: everything that decides which brackets `bench.data.simulate` makes."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Range = tuple[float, float]


class Simulation(BaseModel):
    """Views to photograph, camera, and the bounds of a usable bracket.

    The shares that decide on a bracket are shares of pixels: a pixel is saturated when its brightest channel is at the
    full value, dark when the mean of its three channels is below 6/255 of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, description="every random stream is derived from it and from the view's name")
    train: tuple[str, ...] = Field(
        ("city", "courtyard", "night", "studio", "sunrise", "sunset"), description="panoramas of training views"
    )
    test: tuple[str, ...] = Field(("forest", "interior"), description="panoramas of test views and truthless scenes")
    train_views: int = Field(4, ge=0, description="views of each training panorama")
    test_views: int = Field(4, ge=0, description="views of each test panorama")
    no_truth_scenes: int = Field(3, ge=0, description="scenes without truth, dealt round the test panoramas")

    width: int = Field(256, ge=16, description="pixels; beyond 2.84 px per degree views look soft")
    height: int = Field(176, ge=16, description="pixels")
    field_of_view: float = Field(90.0, gt=10, lt=120, description="horizontal, degrees")
    pitch: Range = Field((-12.0, 18.0), description="elevation of the view's centre, degrees, drawn evenly")
    roll: float = Field(1.0, ge=0, description="standard deviation of the camera's roll, degrees")
    separation: float = Field(
        25.0, ge=0, description="degrees wanted between views of a panorama; relaxed draw by draw"
    )
    rotation_jitter: float = Field(
        0.5, ge=0, description="typical rotation between a frame and the reference, degrees (deviation about each axis)"
    )

    ev_steps: tuple[Literal[1, 2, 3], ...] = Field(
        (2, 2, 3, 2), min_length=1, description="between frames (2: t = 1, 4, 16); draw d of view k tries entry k + d"
    )
    bit_depths: tuple[Literal[8, 10, 12, 14, 16], ...] = Field(
        (14, 8, 16, 16, 14), min_length=1, description="quantisation; files hold 16 bits always; view k takes entry k"
    )
    full_well: float = Field(2500.0, gt=0, description="electrons of a pixel that just saturates; sets shot noise")
    read_noise: float = Field(4.0, ge=0, description="standard deviation, electrons")
    white_percentile: float = Field(
        99.7, gt=50, le=100, description="of the pixels' brightest channels: this value just saturates the short frame"
    )
    highlight_cap: float = Field(4.0, gt=0, description="radiance is capped at this times its 99.98th percentile")

    objects: tuple[int, int] = Field((1, 3), description="fewest and most moving objects in a view")
    motion: Range = Field((3.0, 16.0), description="pixels that an object moves from one frame to the next")
    blur: float = Field(0.35, ge=0, le=1, description="share of that path covered while the long frame is exposed")
    indoors: tuple[str, ...] = Field(("interior", "studio"), description="panoramas where no vehicle appears")

    mid_saturated: Range = Field((0.02, 0.35), description="accepted share of saturated pixels, middle frame")
    long_saturated: Range = Field((0.12, 0.75), description="accepted share of saturated pixels, long frame")
    mid_dark: float = Field(0.35, gt=0, le=1, description="a middle frame with this share of dark pixels is refused")
    max_draws: int = Field(400, ge=1, description="random views tried for one accepted view before giving up")

    @model_validator(mode="after")
    def _check(self) -> Self:
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise ValueError(f"panoramas {both} are in train and in test; views of one place must stay in one split")
        for name, wanted, views in (("train", self.train, self.train_views), ("test", self.test, self.test_views)):
            if len(set(wanted)) != len(wanted):
                raise ValueError(f"{name} names a panorama twice")
            if len(wanted) < 2 and (views or (name == "test" and self.no_truth_scenes)):
                raise ValueError(f"{name} needs two panoramas or more: moving objects take their texture from another")
        for name in ("pitch", "objects", "motion", "mid_saturated", "long_saturated"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is a range and must rise: {low} > {high}")
        return self

"""Reference only: the floor of a method that ignores the other exposures."""

from bench.core.method import method
from bench.core.scene import Radiance, Scene


@method("reference-only", label="Reference only", cites="floor: the linearised reference frame", trains=False)
class ReferenceOnly:
    """The linearised reference frame, clipped where it is saturated."""

    def predict(self, scene: Scene) -> Radiance:
        """Return the reference frame's radiance (H, W, 3) in [0, 1 / t_ref]."""
        return scene.linear[scene.reference]

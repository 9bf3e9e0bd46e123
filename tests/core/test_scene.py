"""A scene refuses what breaks its contract."""

from dataclasses import replace

import numpy as np
import pytest

from bench.core.errors import UsageError


@pytest.mark.parametrize("times", [[1, 4], [2, 4, 16], [1, 4, np.nan], [1, 4, np.inf], [1, 2.0**64, 2.0**127]])
def test_exposure_times_that_no_camera_has(tiny_scene, times):
    with pytest.raises(UsageError, match="expected one per frame, the shortest equal to 1, the longest at most 1e"):
        replace(tiny_scene, times=np.array(times, np.float64))

"""What `score` looks at before it scores costs little of what scoring takes."""

import subprocess
import sys

import numpy as np
import pytest

from bench.core.registry import ROOT, protocols
from bench.metrics.checks import examine
from bench.metrics.scorer import Scorer

from .pairs import smooth

pytestmark = pytest.mark.benchmark(group="checks")

WITHOUT = """
import sys
import numpy as np
from bench.core.registry import protocols
from bench.metrics.checks import examine
from bench.metrics.scorer import Scorer
one, other = np.random.default_rng(0).random((2, 64, 96, 3), dtype=np.float32)
examine(one, other)
Scorer(one, other).scores(protocols["whole-float"])
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"cv2", "matplotlib", "pandas", "scipy"}))
"""


SHARE = 5
"""Scoring takes more than so many times as long as the checks.

On two processors with AVX-512, in ratios of one run: 6.0 to 6.9 and 8.6 to 9.4. With four times the samples, as it was
before, 4.0 to 4.4 and 5.3 to 6.6: the bound holds on both, and where the ratio falls below the accepted one of its
processor `make ratios` tells.
"""


@pytest.mark.timed
@pytest.mark.usefixtures("one_thread")
def test_checks_take_a_fraction_of_scoring(race, ratio):
    """At the size of the demo's views."""
    pair = [np.clip(image, 0, 1) for image in smooth(224, 320)]
    rule = protocols["whole-float"]
    assert not [finding for finding in examine(*pair) if finding.bad]
    checked, scored = race(lambda: examine(*pair), lambda: Scorer(*pair).scores(rule), rounds=5)
    ratio(scored / checked)
    assert scored > SHARE * checked


def test_neither_checks_nor_scores_of_whole_pictures_import_what_takes_long_to_load():
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

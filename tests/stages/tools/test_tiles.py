"""`tiles` counts codes that differ, and leaves their pixels out."""

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.stages.tools import tiles
from bench.stages.tools.tiles import agreement, said


class Fickle(nn.Module):
    """A network that answers one, but where its code is other than the last time."""

    def __init__(self, codes: list[Tensor]) -> None:
        super().__init__()
        self.codebook = Recorded(codes)

    def forward(self, frames: Tensor) -> Tensor:
        found = self.codebook(frames).indices
        other = torch.kron(found.float(), torch.ones(8, 8))[:, None] / 10
        return torch.ones(1, 3, *frames.shape[-2:]) * (1 - other) * (1 - 1e-4 * other.sum())


class Recorded(tiles.Codebook):
    def __init__(self, codes: list[Tensor]) -> None:
        super().__init__(4, 2, "olc")
        self.answers = codes

    def forward(self, features: Tensor, kinds: Tensor | int = 3) -> tiles.Codebook:
        return type("Found", (), {"indices": self.answers.pop(0)})()


def test_the_share_of_other_codes_and_the_difference_beside_them():
    before = torch.zeros(1, 4, 5, dtype=torch.int64)
    after = before.clone()
    after[0, 3, 4] = 1
    network = Fickle([before, after])
    # 30x38 pixels are padded to 32x40: 4x5 codes, the last of which covers 6x6 pixels that are left.
    found = agreement(methods["olc"], network, torch.rand(1, 3, 6, 30, 38), 0)
    assert found.codes == pytest.approx(1 / 20)
    assert 0 < found.difference < 1e-3 < found.everywhere


def test_a_network_without_codebook_has_no_other_codes():
    torch.manual_seed(0)
    network = methods["ahdrnet"].build("smoke").eval()
    found = agreement(methods["ahdrnet"], network, torch.rand(1, 3, 6, 40, 150), 32)
    assert found.codes is None and found.difference == found.everywhere < 1e-4
    assert "code" not in said(found) and re.search(r"in the mu-law domain \d", said(found))


def test_the_command_tells_of_each_scene(site, capsys):
    capsys.readouterr()
    site.run("tiles", site.vq, tile=32, limit=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert re.search(r"tiles of 32: 0\.\d{3}% of the codes differ; largest .* \d\S* outside", lines[0])


def test_a_scene_of_one_tile_compares_nothing(site):
    with pytest.raises(UsageError, match=r"of \d+x\d+ pixels, is a single tile of 256; set a smaller --tile"):
        site.run("tiles", site.vq, tile=256, limit=1)


def test_a_method_that_takes_full_frames_only_is_refused(site, monkeypatch):
    monkeypatch.setitem(tiles.methods._cards, "olc", replace(methods["olc"], overlap=0))
    with pytest.raises(UsageError, match="method 'olc' takes full frames only"):
        site.run("tiles", site.vq, tile=8, limit=1)

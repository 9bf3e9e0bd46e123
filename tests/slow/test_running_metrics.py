"""Means over images of two processes are those of one, however unevenly they share them."""

import pytest
import torch
from torch import distributed, multiprocessing

from bench.metrics import HdrVdp2, PsnrMu, SsimPu

KINDS = (PsnrMu, SsimPu, HdrVdp2)


def _images():
    truth = torch.rand(3, 3, 24, 31, generator=torch.Generator().manual_seed(0))
    return truth * torch.linspace(0.7, 0.95, 3).reshape(3, 1, 1, 1), truth


def _means(own):
    pred, truth = _images()
    metrics = [kind(protocol="whole-float") for kind in KINDS]
    for metric in metrics:
        if own:
            metric.update(pred[own], truth[own])
    return [metric.compute().item() for metric in metrics]


def _process(rank, shares, folder):
    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous"
    distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=len(shares))
    torch.save(_means(shares[rank]), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.parametrize("shares", [([0], [1, 2]), ([0, 1, 2], [])], ids=["uneven", "one-has-none"])
def test_two_processes_agree_with_one(shares, tmp_path):
    multiprocessing.spawn(_process, (shares, tmp_path), nprocs=len(shares))
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(len(shares))]
    assert found[0] == found[1] == pytest.approx(_means([0, 1, 2]), abs=1e-12)

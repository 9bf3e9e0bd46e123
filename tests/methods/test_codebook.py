"""The overlapped codebook: what equation 4, its text and equation 7 force."""

import pytest
import torch
import torch.nn.functional as F

from bench.core.errors import UsageError
from bench.core.scene import IMAGE_KINDS
from methods.olc.codebook import Codebook, codebook_losses, segment

SIZE = 32


def book(layout="olc", size=SIZE, width=6):
    codebook = Codebook(size, width, layout)
    torch.nn.init.normal_(codebook.weight, generator=torch.Generator().manual_seed(5))
    return codebook


def features(batch=4, width=6):
    return torch.randn(batch, width, 5, 7, generator=torch.Generator().manual_seed(9))


def codes_of(kind, size=SIZE, layout="olc"):
    part = segment(kind, size, layout)
    return set(range(part.start, part.stop))


@pytest.mark.parametrize("size", [4, 16, 512, 1024])
def test_segments_overlap_by_a_quarter_and_cover_the_book(size):
    first, second, third, whole = (codes_of(kind, size) for kind in range(4))
    assert len(first) == len(second) == len(third) == size // 2
    assert len(first & second) == len(second & third) == size // 4
    assert not first & third
    assert first | second | third == whole == set(range(size))


def test_segments_of_1024_codes():
    assert [segment(kind, 1024, "olc") for kind in range(4)] == [
        slice(0, 512), slice(256, 768), slice(512, 1024), slice(0, 1024)
    ]  # fmt: skip


def test_the_vanilla_book_is_whole_for_every_kind():
    assert all(codes_of(kind, layout="vanilla") == set(range(SIZE)) for kind in range(4))


@pytest.mark.parametrize("size", [1, 6, 1023])
def test_a_size_that_has_no_quarters_is_refused(size):
    with pytest.raises(UsageError, match=rf"{size} codes can't be split into quarters"):
        Codebook(size, 4, "olc")


def test_an_unknown_layout_is_refused():
    with pytest.raises(UsageError, match="segments 'overlap' are unknown; expected olc or vanilla"):
        Codebook(8, 4, "overlap")


def test_codes_start_uniform_within_one_over_k():
    weight = Codebook(64, 16, "olc").weight
    assert 0.9 / 64 < float(weight.detach().abs().max()) <= 1 / 64


@pytest.mark.parametrize("layout", ["olc", "vanilla"])
@pytest.mark.parametrize("kind", range(4))
def test_look_up_is_the_nearest_code_of_the_segment_by_its_global_index(kind, layout):
    codebook, vectors = book(layout), features()
    result = codebook(vectors, kind)
    distances = torch.cdist(vectors.permute(0, 2, 3, 1).reshape(-1, 6).double(), codebook.weight.double())
    allowed = torch.tensor(sorted(codes_of(kind, layout=layout)))
    wanted = allowed[distances[:, allowed].argmin(1)].view(4, 5, 7)
    assert torch.equal(result.indices, wanted)
    assert torch.equal(result.codes, codebook.weight[wanted].permute(0, 3, 1, 2))


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("kind", range(4))
def test_only_codes_of_the_active_segment_get_a_gradient(kind, per_sample):
    codebook, vectors = book(), features()
    result = codebook(vectors, torch.full((4,), kind) if per_sample else kind)
    sum(codebook_losses(vectors, result.codes, 0.25).values()).backward()
    touched = set(codebook.weight.grad.abs().sum(1).nonzero().flatten().tolist())
    assert touched == set(result.indices.flatten().tolist()) <= codes_of(kind)


def test_indexing_a_part_updates_those_rows_of_the_master_book():
    """Adam's first step moves exactly the rows that were selected."""
    codebook, vectors = book(), features()
    before = codebook.weight.detach().clone()
    optimiser = torch.optim.Adam(codebook.parameters(), lr=0.1)
    result = codebook(vectors, 1)
    codebook_losses(vectors, result.codes, 0.25)["codebook"].backward()
    optimiser.step()
    moved = set((codebook.weight.detach() != before).any(1).nonzero().flatten().tolist())
    assert moved == set(result.indices.flatten().tolist())


def test_the_gradient_passes_straight_through():
    codebook, vectors = book(), features().requires_grad_()
    result, weights = codebook(vectors, 2), torch.randn(4, 6, 5, 7)
    (result.straight * weights).sum().backward()
    assert torch.equal(vectors.grad, weights)
    assert codebook.weight.grad is None
    assert torch.equal(result.straight, result.codes)


def test_beta_weighs_the_commitment_term_and_not_the_codebook_term():
    vectors, codes = features().requires_grad_(), features(4).flip(0).requires_grad_()
    error = float(F.mse_loss(vectors, codes).detach())
    terms = codebook_losses(vectors, codes, 0.25)
    assert float(terms["codebook"].detach()) == pytest.approx(error, rel=1e-6)
    assert float(terms["commitment"].detach()) == pytest.approx(0.25 * error, rel=1e-6)
    (on_codes,) = torch.autograd.grad(terms["codebook"], [codes], retain_graph=True)
    (on_vectors,) = torch.autograd.grad(terms["commitment"], [vectors], retain_graph=True)
    torch.testing.assert_close(on_codes, (2 * (codes - vectors) / codes.numel()).detach())
    torch.testing.assert_close(on_vectors, (0.5 * (vectors - codes) / codes.numel()).detach())
    assert torch.autograd.grad(terms["codebook"], [vectors], retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(terms["commitment"], [codes], allow_unused=True) == (None,)


@pytest.mark.parametrize("layout", ["olc", "vanilla"])
def test_one_kind_for_the_batch_and_one_for_each_image_agree(layout):
    codebook, vectors, kinds = book(layout), features(), torch.tensor([3, 0, 2, 1])
    mixed = codebook(vectors, kinds)
    for position, kind in enumerate(kinds.tolist()):
        alone = codebook(vectors[position : position + 1], kind)
        assert torch.equal(mixed.indices[position], alone.indices[0])
        assert torch.equal(mixed.straight[position], alone.straight[0])
        assert set(mixed.indices[position].flatten().tolist()) <= codes_of(kind, layout=layout)


def test_the_mask_of_a_kind_is_its_segment():
    allowed = book().allowed(torch.arange(len(IMAGE_KINDS)))
    assert [set(row.nonzero().flatten().tolist()) for row in allowed] == [codes_of(kind) for kind in range(4)]


def test_hdr_is_the_default_kind():
    codebook = book()
    assert torch.equal(codebook(features()).indices, codebook(features(), 3).indices)


def test_distances_are_fp32_under_autocast():
    """Codes that bf16 can't tell apart are still told apart."""
    codebook = Codebook(4, 2, "vanilla")
    codebook.weight.data = torch.tensor([[1.0, 0], [1.001, 0], [1.002, 0], [1.003, 0]])
    vectors = torch.tensor([1.0, 1.001, 1.002, 1.003]).view(1, 1, 1, 4).expand(1, 2, 1, 4) * torch.tensor(
        [1.0, 0.0]
    ).view(1, 2, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        result = codebook(vectors)
    assert result.indices.flatten().tolist() == [0, 1, 2, 3]
    assert result.straight.dtype == result.codes.dtype == torch.float32

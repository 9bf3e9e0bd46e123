"""Window attention against a formulation written out: one window, head and pair of tokens after another."""

import pytest
import torch

from bench.nn import windows
from bench.nn.attention import attend
from bench.nn.windows import WindowAttention, WindowGrid, attend_windows, join_windows, shifted_masks, split_windows


def attention(channels, heads, **options):
    stream = torch.Generator().manual_seed(0)
    built = WindowAttention(channels, heads, **options).double()
    for parameter in built.parameters():
        parameter.data = 0.7 * torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
    return built


def regions(size, edge, shift):
    """Region of every pixel along one axis of the shifted map: what the cyclic shift has moved is one of its own."""
    band = torch.zeros(size, dtype=torch.long)
    if shift:
        band[size - edge : size - shift], band[size - shift :] = 1, 2
    return band


def written_out(module, tokens, source):
    """Every window and head by itself, scores with -100 between regions, from the definition."""
    edge, shift, heads = module.edge, module.shift, module.heads
    if module.cross:
        query, (key, value) = module.query(tokens), module.key_value(source).chunk(2, -1)
    else:
        query, key, value = module.query_key_value(tokens).chunk(3, -1)
    batch, height, width, channels = tokens.shape
    out, size = torch.empty_like(tokens), channels // heads
    where = 3 * regions(height, edge, shift)[:, None] + regions(width, edge, shift)
    for image in range(batch):
        for top in range(0, height, edge):
            for left in range(0, width, edge):
                cells = [(top + i, left + j) for i in range(edge) for j in range(edge)]
                real = [((i + shift) % height, (j + shift) % width) for i, j in cells]
                table = [[(i - m + edge - 1) * (2 * edge - 1) + j - n + edge - 1 for m, n in cells] for i, j in cells]
                apart = torch.tensor([[bool(where[a] != where[b]) for b in cells] for a in cells])
                for head in range(heads):
                    part = slice(head * size, (head + 1) * size)
                    q, k, v = (torch.stack([m[image, i, j, part] for i, j in real]) for m in (query, key, value))
                    scores = q @ k.T / size**0.5 + module.bias_table[table, head] - 100 * apart
                    for (i, j), token in zip(real, scores.softmax(-1) @ v, strict=True):
                        out[image, i, j, part] = token
    return module.project(out)


CASES = [(edge, shift, cross, size) for edge, size in ((2, (6, 4)), (4, (4, 8))) for shift in (0, edge // 2)
         for cross in (False, True)]  # fmt: skip


def maps(size, cross, batch=2):
    stream = torch.Generator().manual_seed(1)
    drawn = [torch.randn(batch, *size, 6, generator=stream, dtype=torch.float64) for _ in range(2)]
    return drawn if cross else [drawn[0]]


@pytest.mark.parametrize(("edge", "shift", "cross", "size"), CASES)
def test_it_is_attention_written_out(edge, shift, cross, size):
    module, given = attention(6, 3, edge=edge, shift=shift, cross=cross), maps(size, cross)
    with torch.no_grad():
        wanted = written_out(module, given[0], given[-1])
        torch.testing.assert_close(module(*given), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("shift", [0, 1])
def test_gradients_are_those_of_finite_differences(shift, cross, monkeypatch):
    """With pieces of one window, so that all ways of dividing the work take part."""
    monkeypatch.setattr(windows, "SCORES", 40)
    module, given = attention(6, 3, edge=2, shift=shift, cross=cross), maps((4, 6), cross)
    names, values = zip(*module.named_parameters(), strict=True)

    def function(*tensors):
        changed = dict(zip(names, tensors[len(given) :], strict=True))
        return torch.func.functional_call(module, changed, tensors[: len(given)])

    inputs = [tensor.detach().requires_grad_() for tensor in (*given, *values)]
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("shift", [0, 1])
def test_strips_are_the_whole(shift, cross, monkeypatch):
    module, given = attention(6, 3, edge=2, shift=shift, cross=cross), maps((10, 6), cross)
    whole = module(*given).detach()
    monkeypatch.setattr(windows, "STRIP", 2 * 2 * 6 * 6)
    with torch.no_grad():
        torch.testing.assert_close(module(*given), whole, rtol=0, atol=1e-12)


def tokens_first(*given):
    """Attention whose result lies in memory as some kernels of CUDA leave it: heads after tokens."""
    return attend(*given).transpose(1, 2).contiguous().transpose(1, 2)


@pytest.mark.parametrize("kernel", [attend, tokens_first])
@pytest.mark.parametrize("shift", [0, 2])
def test_the_way_of_gpus_is_that_of_the_cpu(shift, kernel, monkeypatch):
    """Both formulations on the CPU, with gradients: a device that calls itself something else takes the other one."""
    monkeypatch.setattr(windows, "attend", kernel)
    grid, stream = WindowGrid(3, 2, 4, shift), torch.Generator().manual_seed(0)
    pack = torch.randn(6, 2, 16, 3, 2, 5, generator=stream, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(2, 16, 16, generator=stream, dtype=torch.float64, requires_grad=True)
    ours = attend_windows([pack], bias, grid)
    other = windows._attend_at_once([pack], bias, grid)
    torch.testing.assert_close(ours, other, rtol=0, atol=1e-12)
    change = torch.randn(ours.shape, generator=stream, dtype=torch.float64)
    first, second = (torch.autograd.grad(made, (pack, bias), change) for made in (ours, other))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


def test_windows_join_to_what_they_were_cut_from():
    tokens = torch.arange(2.0 * 8 * 12 * 3).view(2, 8, 12, 3)
    parts = split_windows(tokens, 4)
    assert parts.shape == (4, 3, 16, 3)
    assert torch.equal(parts[3, 1].view(4, 4, 3), tokens[1, 4:8, 4:8])
    assert torch.equal(join_windows(parts, 4, 2), tokens)


def test_masks_are_made_once():
    first, second = (shifted_masks(8, 4, torch.float32, torch.device("cpu")) for _ in range(2))
    assert first is second and first[0, 0].count_nonzero() == 0
    assert [int(mask.count_nonzero()) for mask in first.flatten(0, 1)] == [0, 2048, 2048, 3072]

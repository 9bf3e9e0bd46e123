"""CA-ViT and SCTNet as plain functions of the authors' parameters, written from the descriptions alone.

Nothing is shared with `bench.nn` or `methods`: masks are rebuilt in every block, scores are kept whole, maps are in the
framework's default order. So it is both an independent reference and what the speed of ours is compared with.
State: the authors' names. Frames: three maps (B, 6, H, W) in the authors' order of channels (linear half first, BGR).
"""

import torch
import torch.nn.functional as F

EDGE, HEADS = 8, 6


def conv(state, name, features, dilation=1):
    weight = state[f"{name}.weight"]
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(features, weight, state.get(f"{name}.bias"), padding=padding, dilation=dilation)


def linear(state, name, tokens):
    return F.linear(tokens, state[f"{name}.weight"], state.get(f"{name}.bias"))


def norm(state, name, tokens):
    return F.layer_norm(tokens, tokens.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def mlp(state, name, tokens):
    return linear(state, f"{name}.fc2", F.gelu(linear(state, f"{name}.fc1", tokens)))


def to_tokens(features):
    return features.flatten(2).transpose(1, 2)


def to_map(tokens, size):
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *size)


def partition(image):
    """(B, H, W, C) to (windows, 64, C)."""
    batch, height, width, channels = image.shape
    cut = image.view(batch, height // EDGE, EDGE, width // EDGE, EDGE, channels)
    return cut.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, EDGE * EDGE, channels)


def merge(windows, size):
    height, width = size
    cut = windows.view(-1, height // EDGE, width // EDGE, EDGE, EDGE, windows.shape[-1])
    return cut.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, height, width, windows.shape[-1])


def mask(size, shift, like):
    """-100 between tokens of different regions of the shifted image, 0 within one."""
    regions, count = torch.zeros(1, *size, 1, dtype=like.dtype), 0
    bands = (slice(0, -EDGE), slice(-EDGE, -shift), slice(-shift, None))
    for rows in bands:
        for columns in bands:
            regions[:, rows, columns] = count
            count += 1
    cut = partition(regions).squeeze(-1)
    return torch.where(cut[:, None] == cut[:, :, None], 0.0, -100.0).to(like.dtype)


def position_bias(state, name):
    """Bias of every two positions in a window: (heads, 64, 64)."""
    places = torch.cartesian_prod(torch.arange(EDGE), torch.arange(EDGE))
    offset = places[:, None] - places[None] + EDGE - 1
    return state[f"{name}.relative_position_bias_table"][offset[..., 0] * (2 * EDGE - 1) + offset[..., 1]].permute(
        2, 0, 1
    )


def attention(state, name, windows, hidden):
    """Multi-head attention within windows (windows, 64, C)."""
    number, length, channels = windows.shape
    packed = linear(state, f"{name}.qkv", windows).reshape(number, length, 3, HEADS, channels // HEADS)
    query, key, value = packed.permute(2, 0, 3, 1, 4)
    scores = (query * (channels // HEADS) ** -0.5) @ key.transpose(-2, -1) + position_bias(state, name)
    if hidden is not None:
        scores = scores.view(-1, len(hidden), HEADS, length, length) + hidden[None, :, None]
        scores = scores.view(number, HEADS, length, length)
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(number, length, channels)
    return linear(state, f"{name}.proj", mixed)


def local_context(state, name, features):
    """1x1, 3x3, 1x1 convolution and LeakyReLU, times a gate from the mean of each channel."""
    out = features
    for index in range(3):
        out = conv(state, f"{name}.conv.{index}", out)
    out = F.leaky_relu(out, 0.2)
    gate = linear(state, f"{name}.fc.2", F.relu(linear(state, f"{name}.fc.0", out.mean((2, 3)))))
    return out * torch.sigmoid(gate)[:, :, None, None]


def block(state, name, tokens, size, shift, local):
    """A Swin block on tokens (B, H W, C), for CA-ViT with the local branch."""
    normed = norm(state, f"{name}.norm1", tokens)
    image = normed.view(len(tokens), *size, -1)
    if shift:
        image = torch.roll(image, (-shift, -shift), (1, 2))
    windows = attention(state, f"{name}.attn", partition(image), mask(size, shift, tokens) if shift else None)
    image = merge(windows, size)
    if shift:
        image = torch.roll(image, (shift, shift), (1, 2))
    out = tokens + image.flatten(1, 2)
    out = out + mlp(state, f"{name}.mlp", norm(state, f"{name}.norm2", out))
    if local:
        out = out + to_tokens(local_context(state, f"{name}.lce", to_map(normed, size)))
    return out


def group(state, name, tokens, size, last, dilation=1, *, local=False):
    """Six blocks and a convolution, plus the input."""
    out = tokens
    for index in range(6):
        out = block(state, f"{name}.residual_group.blocks.{index}", out, size, index % 2 * 4, local)
    return tokens + to_tokens(conv(state, f"{name}.{last}", to_map(out, size), dilation))


def gated(state, name, neighbour, reference):
    """AHDRNet's attention."""
    joined = F.leaky_relu(conv(state, f"{name}.att1", torch.cat([neighbour, reference], 1)), 0.01)
    return neighbour * torch.sigmoid(conv(state, f"{name}.att2", joined))


def cavit(state, short, reference, long):
    """CA-ViT's output and last convolution, (B, 3, H, W), BGR; height and width are multiples of 8."""
    size = reference.shape[2:]
    first, middle, last = (conv(state, f"conv_f{i}", x) for i, x in enumerate((short, reference, long), 1))
    first, last = gated(state, "att_module_h", first, middle), gated(state, "att_module_l", last, middle)
    merged = conv(state, "conv_first", torch.cat([first, middle, last], 1))
    tokens = norm(state, "patch_embed.norm", to_tokens(merged))
    for index in range(3):
        tokens = group(state, f"layers.{index}", tokens, size, "dilated_conv", 2, local=True)
    deep = to_map(norm(state, "norm", tokens), size)
    out = conv(state, "conv_last", conv(state, "conv_after_body", deep + merged) + middle)
    return torch.sigmoid(out), out


def channel_block(state, name, reference, neighbour, size):
    """Queries from the reference's tokens, keys and values from the neighbour's; heads of five channels."""
    asked, told = (
        to_map(norm(state, f"{name}.norm1_{which}.body", tokens), size)
        for which, tokens in (("x", reference), ("y", neighbour))
    )
    heads = state[f"{name}.attn.temperature"].shape[0]
    query, key, value = (
        conv(state, f"{name}.attn.{part}", given).flatten(2).unflatten(1, (heads, -1))
        for part, given in (("q", asked), ("k", told), ("v", told))
    )
    scores = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
    weights = (scores * state[f"{name}.attn.temperature"]).softmax(-1)
    mixed = (weights @ value).flatten(1, 2).unflatten(2, size)
    out = reference + to_tokens(conv(state, f"{name}.attn.project_out", mixed))
    return out + mlp(state, f"{name}.ffn", norm(state, f"{name}.norm2", out))


def sctnet(state, short, reference, long):
    """SCTNet's output and last convolution, (B, 3, H', W'), BGR, sizes rounded up to multiples of 8."""
    height, width = reference.shape[2:]
    padding = (0, -width % 8, 0, -height % 8)
    size = (height + padding[3], width + padding[1])
    maps = [
        conv(state, f"conv{index}", F.pad(x, padding, mode="reflect"))
        for index, x in enumerate((short, reference, long), 1)
    ]
    initial = norm(state, "patch_embed.norm", to_tokens(torch.cat(maps, 1)))
    tokens = mlp(state, "conv_first", initial)
    for index in range(4):
        tokens = group(state, f"layers.{index}", tokens, size, "conv")
        left, middle, right = (part + x for part, x in zip(tokens.chunk(3, 2), initial.chunk(3, 2), strict=True))
        left = channel_block(state, f"channel_layers_lm.{index}", middle, left, size)
        right = channel_block(state, f"channel_layers_rm.{index}", middle, right, size)
        tokens = mlp(state, f"mlps.{index}", torch.cat([left, middle, right], 2))
    deep = to_map(norm(state, "norm", tokens), size)
    out = conv(state, "upsample.0", conv(state, "conv_after_body", deep) + conv(state, "conv_end", maps[1]))
    return torch.sigmoid(out), out

"""A second reader of the viewer's scripts, written after the description in bench/report/viewer/packing.py."""

import json
import zlib

import numpy as np

from bench.color.transfer import mu_law_inverse
from bench.report.viewer import packing

TEXT = json.JSONDecoder(strict=False)  # bodies hold control characters as they are


def read_script(script):
    """Return name, header and body -> bytes of a scene's script."""
    text = script.decode().removeprefix("viewer.add(").removesuffix(");\n")
    name, end = TEXT.raw_decode(text)
    header, length = TEXT.raw_decode(text[end + 2 :])
    bodies = TEXT.decode(text[end + 2 + length + 2 :])
    return name, header, {part: to_bytes(body) for part, body in bodies.items()}


def to_bytes(text):
    bits = "".join(f"{ord(character) % 128:07b}" for character in text)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8))


def unpack(header, body, height, width):
    """Return the pictures (H, W, channels) of integers, value by value."""
    pictures, channels, bins = header["pictures"], header["channels"], header["bins"]
    order = packing.ORDER if channels == 3 else range(channels)
    content = zlib.decompress(body)
    planes = np.zeros((pictures, channels, height + 4, width + 4), np.int64)
    places = [(p, c, before) for p in range(pictures) for before, c in enumerate(order)]
    lengths = [6 + 3 * before + 3 * p for p, _, before in places]
    weights = np.frombuffer(content, "<i2", bins * sum(lengths)).astype(np.int64)
    low = memoryview(content)[weights.size * 2 :]
    starts = [sum(header["counts"][:index]) for index in range(len(header["counts"]))]
    high, first = sum(header["counts"]), 0
    for (p, c, before), length in zip(places, lengths, strict=True):
        left = np.zeros((height + 4, width + 4), np.int64)
        sources = [(planes[p, c], packing.OWN)]
        sources += [(planes[p, earlier], packing.OTHER) for earlier in order[:before]]
        sources += [(planes[q, c], packing.OTHER) for q in range(p)]
        own = weights[first : first + bins * length].reshape(bins, length).tolist()
        first += bins * length
        for y in range(2, height + 2):
            for x in range(2, width + 2):
                bright = int(planes[0, :, y, x].sum()) if p else 0
                weight = own[min(bright * bins // (channels * (packing.LEVELS + 1)), bins - 1)]
                around = [int(plane[y - up, x - back]) for plane, steps in sources for up, back in steps]
                guess = (sum(a * b for a, b in zip(weight, around, strict=True)) + 2048) >> 12
                near = 2 * left[y, x - 1] + 2 * left[y - 1, x] + left[y - 1, x - 1] + left[y - 1, x + 1]
                context = max(index for index, step in enumerate(packing.STEPS) if step <= near)
                value = low[starts[context]] + 256 * low[high]
                starts[context] += 1
                high += 1
                rest = -(value + 1) // 2 if value % 2 else value // 2
                left[y, x], planes[p, c, y, x] = abs(rest), guess + rest
    return planes[:, :, 2:-2, 2:-2].transpose(0, 2, 3, 1)


def radiance(codes):
    return mu_law_inverse(codes / packing.LEVELS)

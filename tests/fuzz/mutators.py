"""Mutants of small valid files: damaged bytes, wrong numbers, hostile text, and the same inside a format's checksums.

`mutate` is all that others call: the same seed, kind and generator give the same bytes. A kind says how deep a mutator
may look: `bytes` knows nothing, `text` knows words and lines, the others take a file apart and put it together again
with sound lengths and checksums, so that what is wrong lies behind the first check.
"""

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import yaml

Mutator = Callable[[bytes, Random], bytes]

LONGEST = 1 << 20
"""Bytes of the longest mutant: what repeats things shall not fill a disk."""

EXTREMES = (
    "0", "-1", "1", "-0", "2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808",
    "18446744073709551616", "-9223372036854775809", "1e308", "1e999", "1e-999", "1e999999999", "-1e999999999",
    "1/1e999999999", "1/0", "0/0", "nan", "NaN", "inf", "-inf", "Infinity", ".nan", ".inf", "0x7fffffff", "0b1",
    "1_000", "01", "1.", ".5", "1,5", "1e", "--1", "+1", "9" * 40, "7" * 5000, "0." + "0" * 400 + "1", "\u00b2",
    "\u0661", "\uff11", "12345678901234567890",
)  # fmt: skip
"""Words in the place of a number."""

NASTY = (
    "", " ", "\t", "\x00", "\x1b[31m", "\x1b]0;title\x07", "\r", "\n", "\x85", "\u2028", "\u202e", "\ufeff", "\ud800",
    "\ufffe", "\U0010ffff", "e\u0301", "\u540d\u524d", "null", "~", "true", "[]", "{}", "{", "[", "]", "'", '"', "\\",
    "#", "%s%n", "${x}", "$(id)", "`id`", "; id", "../../../../x", "/etc/passwd", "-x", ".", "..",
    "=cmd|'/c calc'!A0", "<script>", "*", "&a", "*a", "!!x", "!", "@", "%", "|", ">", "?", ": ", ":", ",", "- ",
    "a" * 300, "a" * 5000, "\u00e9" * 200,
)  # fmt: skip
"""Words in the place of any word."""

INTEGERS = (0, 1, -1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1)
FLOATS = (float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 1e38, 1e-40)


def mutate(kind: str, seeds: Sequence[bytes], random: Random) -> bytes:
    """Return one mutant of one of the seeds: mostly one thing is wrong with it, at times two or three."""
    content = random.choice(seeds)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if random.random() < 0.03:
            content = _spliced(content, random.choice(seeds), random)
        else:
            content = random.choice(KINDS[kind])(content, random)[:LONGEST]
    return content


# Bytes: nothing is known of them.


def _place(content: bytes, random: Random) -> int:
    """Return an offset: half of them in the first bytes, where headers are, some in the last, where directories are."""
    size = max(len(content), 1)
    return random.choice(
        (random.randrange(size), random.randrange(min(size, 200)), max(0, size - random.randrange(1, 99)))
    )


def flip(content: bytes, random: Random) -> bytes:
    """Flip a few bits."""
    out = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8, 40))):
        if out:
            out[_place(content, random)] ^= 1 << random.randrange(8)
    return bytes(out)


def overwrite(content: bytes, random: Random) -> bytes:
    """Overwrite a run by 0, by 255 or at random."""
    begin, length = _place(content, random), random.choice((1, 2, 4, 16, 100, len(content) // 4))
    length = min(length, len(content) - begin)
    run = random.choice((bytes(length), b"\xff" * length, random.randbytes(length)))
    return content[:begin] + run + content[begin + length :]


def cut(content: bytes, random: Random) -> bytes:
    """Leave an end or a beginning away, or a piece from within."""
    begin, end = sorted((_place(content, random), _place(content, random)))
    return random.choice((content[:begin], content[:end], content[begin:], content[:begin] + content[end:], b""))


def insert(content: bytes, random: Random) -> bytes:
    """Insert bytes."""
    begin = _place(content, random)
    return content[:begin] + random.randbytes(random.choice((1, 2, 3, 4, 64, 1000))) + content[begin:]


def rearrange(content: bytes, random: Random) -> bytes:
    """Write a block twice or many times, or exchange two."""
    one, two, three, four = sorted(_place(content, random) for _ in range(4))
    block, other = content[one:two], content[three:four]
    if random.random() < 0.5:
        return content[:two] + block * random.choice((1, 2, 50)) + content[two:]
    return content[:one] + other + content[two:three] + block + content[four:]


def number(content: bytes, random: Random) -> bytes:
    """Put an extreme number in the place of the bytes of another, big- or little-endian."""
    order, size = random.choice("<>"), random.choice((1, 2, 4, 4, 4, 8))
    begin = _place(content, random)
    begin -= random.choice((0, begin % size))
    if size >= 4 and random.random() < 0.2:
        new = struct.pack(order + {4: "f", 8: "d"}[size], random.choice(FLOATS))
    else:
        whole = random.choice(INTEGERS) % (1 << 8 * size)
        new = whole.to_bytes(size, "little" if order == "<" else "big")
    return content[:begin] + new + content[begin + size :]


def digits(content: bytes, random: Random) -> bytes:
    """Put another number in the place of one that is written out, as in the headers of .npy and .hdr."""
    found = list(re.finditer(rb"\d+", content[:2000]))
    if not found:
        return number(content, random)
    one = random.choice(found)
    return content[: one.start()] + random.choice(EXTREMES).encode("utf-8") + content[one.end() :]


def _spliced(content: bytes, other: bytes, random: Random) -> bytes:
    return content[: _place(content, random)] + other[_place(other, random) :]


BYTES: tuple[Mutator, ...] = (flip, flip, overwrite, cut, insert, rearrange, number, number, number, digits)

# Text: words and lines.


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def word(content: bytes, random: Random) -> bytes:
    """Put another word in the place of one."""
    text = _text(content)
    found = list(re.finditer(r"[^\s,:=]+", text))
    if not found:
        return content
    one, other = random.choice(found), random.choice(found)
    new = random.choice((random.choice(EXTREMES), random.choice(NASTY), random.choice(NASTY), other[0]))
    return _bytes(text[: one.start()] + new + text[one.end() :])


def value(content: bytes, random: Random) -> bytes:
    """Put an extreme number in the place of a number."""
    text = _text(content)
    found = list(re.finditer(r"-?\d[\d.e/+-]*", text))
    if not found:
        return word(content, random)
    one = random.choice(found)
    return _bytes(text[: one.start()] + random.choice(EXTREMES) + text[one.end() :])


def line(content: bytes, random: Random) -> bytes:
    """Leave a line out, write it twice, exchange two, or indent one."""
    lines = _text(content).splitlines(keepends=True)
    if not lines:
        return content
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(5):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case 3:
            lines[one] = random.choice((" ", "  ", "\t", "- ", "# ")) + lines[one]
        case _:
            lines[one] = lines[one].rstrip() + random.choice(NASTY) + "\n"
    return _bytes("".join(lines))


def character(content: bytes, random: Random) -> bytes:
    """Insert what doesn't belong into a text."""
    begin = random.randrange(len(content) + 1)
    return content[:begin] + _bytes(random.choice(NASTY)) + content[begin:]


def encoding(content: bytes, random: Random) -> bytes:
    """Write the text as other programs do: with a mark, other line ends, UTF-16, or in an encoding of its own."""
    text = _text(content)
    match random.randrange(6):
        case 0:
            return text.encode("utf-16", "replace")
        case 1:
            return text.encode("utf-8-sig", "replace")
        case 2:
            return text.replace("\n", random.choice(("\r\n", "\r", "\u2028"))).encode()
        case 3:
            return (text + "\u00e9").encode("latin-1", "replace")
        case 4:
            return text.encode("utf-32", "replace")
        case _:
            begin = random.randrange(len(content) + 1)
            return content[:begin] + random.choice((b"\xff", b"\x80", b"\xc3", b"\xed\xa0\x80")) + content[begin:]


def repeat(content: bytes, random: Random) -> bytes:
    """Write something very often."""
    text = _text(content)
    begin = random.randrange(len(text) + 1)
    lines = text.splitlines(keepends=True) or [""]
    new = random.choice(
        ("[", "{", "- ", "a", " ", "\n", "(", '"', "9", "\u00e9", "{a: ", '{"a":', random.choice(lines))
    )
    times = min(random.choice((100, 2000, 30_000)), LONGEST // max(len(new), 1))
    return _bytes(text[:begin] + new * times + text[begin:])


TEXT: tuple[Mutator, ...] = (word, word, value, value, line, character, encoding, repeat, cut, flip, overwrite)

# Trees of values: JSON, YAML, and rows of cells.


def _strange(random: Random) -> Any:
    """Return a value that nobody expects."""
    deep: list[Any] = []
    for _ in range(random.choice((60, 900))):
        deep = [deep]
    return random.choice(
        (
            None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, 1e308, 0.5, float("nan"), float("inf"),
            "", "x", [], {}, [None],
            {"": {}}, {"x": None}, [[]], list(range(3000)), deep,
            random.choice(NASTY), random.choice(EXTREMES),
        )
    )  # fmt: skip


def _holders(tree: Any) -> list[tuple[Any, Any]]:
    """List (container, key) of all values of a tree."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        pairs = list(one.items()) if isinstance(one, dict) else list(enumerate(one)) if isinstance(one, list) else []
        found += [(one, key) for key, _ in pairs]
        waiting += [inner for _, inner in pairs]
    return found


def _changed(tree: Any, random: Random) -> Any:
    """Change one value of a tree, or its name."""
    holders = _holders(tree)
    if not holders or random.random() < 0.03:
        return random.choice(([], None, 5, "x", [tree], {"x": tree}))
    holder, key = random.choice(holders)
    other, its = random.choice(holders)
    match random.randrange(6) if isinstance(holder, dict) else random.randrange(4):
        case 0 | 1:
            holder[key] = _strange(random)
        case 2:
            holder[key] = json.loads(json.dumps(other[its]))
        case 3:
            del holder[key]
        case 4:
            holder[random.choice((*NASTY, *EXTREMES))] = holder.pop(key)
        case _:
            holder[random.choice(NASTY)] = _strange(random)
    return tree


def json_tree(content: bytes, random: Random) -> bytes:
    """Change a value of a JSON text."""
    try:
        tree = _changed(json.loads(content), random)
        return _bytes(json.dumps(tree, indent=random.choice((None, 1)), ensure_ascii=random.random() < 0.5))
    except (ValueError, RecursionError):  # of an earlier mutator
        return character(content, random)


def json_token(content: bytes, random: Random) -> bytes:
    """Put a token that JSON or Python has in the place of a value, or a key twice."""
    text = _text(content)
    found = list(re.finditer(r'(?<=: )("[^"\n]*"|[-\w.]+)', text))
    if not found:
        return word(content, random)
    one = random.choice(found)
    new = random.choice(
        ("NaN", "-Infinity", "1e999", "9" * 5000, "[" * 30_000, '{"a":' * 3000, "-", '"\\ud800"', '"\\u0000"')
    )
    if random.random() < 0.2:
        new = f'{one[0]}, "{random.choice(("id", "times", "a"))}": {one[0]}'
    return _bytes(text[: one.start()] + new + text[one.end() :])


def yaml_tree(content: bytes, random: Random) -> bytes:
    """Change a value of a YAML text."""
    if b"&" in content:  # an earlier mutator's aliases, which may stand for a billion values
        return character(content, random)
    # An earlier mutator's thousand levels would overflow the stack of the compiled loader, which ends the process.
    deep = content.count(b"[") + content.count(b"{") > 500
    try:
        tree = yaml.load(content, Loader=yaml.SafeLoader if deep else getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return yaml.safe_dump(_changed(tree, random), sort_keys=False, allow_unicode=random.random() < 0.5).encode()
    except Exception:  # an earlier mutator's text, which PyYAML stumbles over in many ways
        return character(content, random)


BOMB = "x: &a0 [1, 1]\n" + "".join(f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))

TAGGED = (
    "!!timestamp x", "!!int x", "!!float x", "!!bool x", "!!null x", "!!binary x", "!!binary '\u00e9'",
    "!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!map []", "!!seq {}", "!!str [a]",
    "!!python/object/apply:os.system [id]", "!!python/name:os.system", "!own {a: 1}", "!<tag:x> y", "2020-01-01",
    "2020-13-45", "2020-01-01 25:61:61", "0o17", "0x_", "1:60:60", "190:20:30.15", "1_", "=", "<<", "{<<: 5}",
    "{<<: [1]}", "{? [a] : b}", "{? {a: b} : c}", "&a [*a]", "&a {x: *a}", "*missing", "{a: 1, a: 2}", "[" * 20_000,
    "{a: " * 400, "'", '"\\x"', "|\n x", ">9\n x", "%YAML 1.2", "@x", "`x", "9" * 5000, "1e999999999", "-.inf",
    ".NaN", "yes", "off", "~", "...", "--- x", "\t", "!!str", "&a", "? ",
)  # fmt: skip
"""Values that YAML allows, or that Python's reader takes apart before it refuses them."""


def yaml_token(content: bytes, random: Random) -> bytes:
    """Put a tag, an alias or the like in the place of a value, give a key twice, or begin with a bomb."""
    text = _text(content)
    if random.random() < 0.1:
        return _bytes(
            random.choice((BOMB + text, text + BOMB, "---\n" + text + "---\n" + text, "&a\n" + text + "x: *a\n"))
        )
    found = list(re.finditer(r"(?<=: )[^\n]+", text))
    if not found:
        return word(content, random)
    one = random.choice(found)
    return _bytes(text[: one.start()] + random.choice(TAGGED) + text[one.end() :])


def cell(content: bytes, random: Random) -> bytes:
    """Change a cell of a table: its content, its quotes, or how many there are."""
    rows = _text(content).split("\n")
    row = random.randrange(min(len(rows), random.choice((1, 6, len(rows)))))
    cells = rows[row].split(",")
    place = random.randrange(len(cells))
    match random.randrange(6):
        case 0 | 1:
            cells[place] = random.choice((*EXTREMES, *NASTY))
        case 2:
            cells.insert(place, random.choice(("", "x", cells[place])))
        case 3:
            del cells[place]
        case 4:
            cells[place] = random.choice(
                ('"' + cells[place], f'"{cells[place]}"x', '"' + "a" * 140_000 + '"', '"a\nb"', '""')
            )
        case _:
            other = random.randrange(len(cells))
            cells[place], cells[other] = cells[other], cells[place]
    rows[row] = ",".join(cells)
    return _bytes("\n".join(rows))


# Formats with lengths and checksums of their own.


def png_chunk(content: bytes, random: Random) -> bytes:
    """Mutate the content of a PNG's chunk, and give it the right length and checksum."""
    chunks, place = [], 8
    while place + 12 <= len(content):
        size = min(int.from_bytes(content[place : place + 4]), len(content) - place - 12)
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += 12 + size
    if not chunks:
        return flip(content, random)
    chosen = random.randrange(len(chunks))
    kind, data = chunks[chosen]
    if kind == b"IDAT" and random.random() < 0.7:
        data = _packed(data, random)
    else:
        data = random.choice((flip, overwrite, number, cut, insert))(data, random)
    chunks[chosen] = (kind, data)
    if random.random() < 0.1:
        random.shuffle(chunks)
    return content[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _packed(data: bytes, random: Random) -> bytes:
    """Mutate what a zlib stream holds."""
    try:
        return zlib.compress(random.choice(BYTES)(zlib.decompress(data), random))
    except zlib.error:
        return flip(data, random)


def tiff_tag(content: bytes, random: Random) -> bytes:
    """Change tag, type, count or value of an entry of a TIFF's directory, or leave the entry out."""
    order: Any = "little" if content[:2] == b"II" else "big"
    start = int.from_bytes(content[4:8], order)
    count = int.from_bytes(content[start : start + 2], order)
    if not 0 < count < 200:
        return number(content, random)
    entry = start + 2 + 12 * random.randrange(count)
    begin, size = random.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 4), (8, 2)))
    values = (
        *INTEGERS,
        3,
        4,
        5,
        6,
        8,
        16,
        32,
        64,
        len(content),
        len(content) - 1,
        32773,
        34676,
        34892,
        50000,
        254,
        262,
        277,
    )
    new = (random.choice(values) % (1 << 8 * size)).to_bytes(size, order)
    return content[: entry + begin] + new + content[entry + begin + size :]


def exr_attribute(content: bytes, random: Random) -> bytes:
    """Change an attribute in an EXR's header, whose length stays right, or the flags that tell the kind of file."""
    if random.random() < 0.1:
        return content[:4] + bytes((2, random.choice((0, 2, 4, 8, 16, 24, 255)), 0, 0)) + content[8:]
    found = [*re.finditer(rb"([A-Za-z]{1,31})\x00([A-Za-z0-9]{1,31})\x00(?s:(....))", content[:3000])]
    if not found:
        return flip(content, random)
    one = random.choice(found)
    begin, size = one.end(), int.from_bytes(one[3], "little")
    kind, data = one[2], content[begin : begin + size]
    match random.randrange(4):
        case 0:
            data = random.choice((number, number, overwrite, flip, insert, cut))(data, random)
        case 1:
            data = random.choice(
                (b"deepscanline", b"deeptile", b"tiledimage", b"scanlineimage", b"x", b"", bytes(min(size, 99)))
            )
        case 2:
            kind = random.choice((b"string", b"box2i", b"float", b"chlist", b"x"))
        case _:
            data += random.choice((b"\x00", data, b"Z\x00\x02\x00\x00\x00" + bytes(4) + b"\x01\x00\x00\x00" * 2))
    attribute = one[1] + b"\x00" + kind + b"\x00" + len(data).to_bytes(4, "little") + data
    return content[: one.start()] + attribute + content[begin + size :]


def npy_header(content: bytes, random: Random) -> bytes:
    """Change the dictionary in an .npy's header, whose length stays right."""
    size = int.from_bytes(content[8:10], "little")
    header = content[10 : 10 + size]
    types = ("<f8", ">f4", "<f2", "|b1", "<c16", "|O", "<M8[s]", "|V12", "<U4", "|S0", "<f4, (3,)f4", "(2**30,)f4", "x")
    if random.random() < 0.3 and b"'descr': '" in header:
        header = re.sub(rb"'descr': '[^']*'", f"'descr': {random.choice(types)!r}".encode(), header)
    else:
        header = random.choice((digits, word, flip, cut, character))(header, random)
    return content[:8] + (len(header) & 0xFFFF).to_bytes(2, "little") + header + content[10 + size :]


def safetensors_header(content: bytes, random: Random) -> bytes:
    """Change the JSON in a safetensors header, whose length stays right."""
    size = int.from_bytes(content[:8], "little")
    header = random.choice((json_tree, json_tree, json_token, digits, flip))(content[8 : 8 + size], random)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def zip_entry(content: bytes, random: Random) -> bytes:
    """Change an entry of a zip archive, its content or its name, and write the archive anew."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [(info.filename, archive.read(info), info.compress_type) for info in archive.infolist()]
    except Exception:  # an earlier mutator's, which zipfile stumbles over in many ways
        return number(content, random)
    if not entries:
        return flip(content, random)
    chosen = random.randrange(len(entries))
    name, data, packing = entries[chosen]
    match random.randrange(6):
        case 0 | 1:
            data = random.choice((*BYTES, npy_header, npy_header) if name.endswith(".npy") else BYTES)(data, random)
        case 2:
            data = random.choice((b"", bytes(1 << 20), data * 3, b"PK\x03\x04" + data))
        case 3:
            name = random.choice(
                (
                    "../x",
                    "/x",
                    "C:\\x",
                    "a\\..\\..\\x",
                    "x/",
                    "\x1b[31m",
                    "a\nb",
                    "x" * 250,
                    "y/" * 2000 + "x",
                    "CON",
                    "a\x00b",
                )
            )
        case 4:
            name = random.choice(
                (name.upper(), name.lower(), f"./{name}", f"{name}/x", f"{name}/", random.choice(NASTY) or "x")
            )
        case _:
            packing = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    if random.random() < 0.2:
        entries.append((name, data, packing))
    else:
        entries[chosen] = (name, data, packing)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data, packing in entries:
            info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode() or "x")
            info.compress_type = packing
            info.external_attr = (
                random.choice((0, 0, 0, 0, 0o120777 << 16, 0o010644 << 16)) if random.random() < 0.1 else 0
            )
            _store(archive, info, data)
    return out.getvalue()


def _store(archive: zipfile.ZipFile, info: zipfile.ZipInfo, data: bytes) -> None:
    written = set(archive.NameToInfo)
    archive.NameToInfo.clear()  # Python warns of a name that is there twice; here it may be
    archive.writestr(info, data)
    archive.NameToInfo.update(dict.fromkeys(written, info))


def zip_field(content: bytes, random: Random) -> bytes:
    """Change a field of a zip's local header, of its directory or of what closes it."""
    marks = [found.start() for found in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", content)]
    if not marks:
        return flip(content, random)
    begin = random.choice(marks) + random.randrange(4, 46)
    size = random.choice((1, 2, 4))
    new = (random.choice(INTEGERS) % (1 << 8 * size)).to_bytes(size, "little")
    return content[:begin] + new + content[begin + size :]


KINDS: dict[str, tuple[Mutator, ...]] = {
    "bytes": BYTES,
    "exr": (*BYTES, *[exr_attribute] * 10),
    "png": (*BYTES, *[png_chunk] * 8),
    "tiff": (*BYTES, *[tiff_tag] * 8),
    "npy": (*BYTES, *[npy_header] * 6),
    "safetensors": (*BYTES, *[safetensors_header] * 8),
    "zip": (*BYTES, *[zip_entry] * 5, *[zip_field] * 4),
    "text": TEXT,
    "json": (*TEXT, *[json_tree] * 9, *[json_token] * 3),
    "yaml": (*TEXT, *[yaml_tree] * 8, *[yaml_token] * 8),
    "csv": (*TEXT, *[cell] * 9),
}  # fmt: skip
"""Kind of file -> mutators; one that stands there more often is taken more often."""

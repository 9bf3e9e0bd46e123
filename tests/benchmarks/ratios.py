"""Tell if the hot spots are still as many times as fast as their reference kernels as when last accepted.

`make ratios` measures and compares, `make accept-ratios` accepts what was measured. Reads the ratios that the fixture
`ratio` put into pytest's JUnit report. Seconds depend on the machine and are never compared. Ratios depend on the kind
of its processor: each kind has its own accepted ones.
"""

import argparse
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

ACCEPTED = Path(__file__).with_name("accepted.json")

FACTOR = 1.3
"""A ratio may be so many times worse: it varies with the processor, and with what else a shared machine does."""


class Measured(NamedTuple):
    """Results of one run of the timed tests: test -> ratio, larger is faster, and the tests that failed."""

    ratios: dict[str, float]
    failed: set[str]


def processor() -> str:
    """Return the kind of this processor, as PyTorch names what its kernels use."""
    import torch  # not for a comparison under a given name

    return str(torch.backends.cpu.get_cpu_capability())


def kept(path: Path) -> dict[str, dict[str, float]]:
    """Return the accepted ratios: kind of processor -> test -> ratio; none without a file."""
    content: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def read(report: Path) -> Measured:
    """Read pytest's JUnit report; a test is named by its file without `test_`, and its own name."""
    ratios, failed = {}, set()
    for case in ET.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2].removeprefix('test_')}: {case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(name)
        for kept in case.iterfind("properties/property[@name='ratio']"):
            ratios[name] = float(kept.get("value", "nan"))
    return Measured(ratios, failed)


def judge(name: str, measured: Measured, accepted: dict[str, float]) -> str:
    """Say how a ratio stands to the accepted one; what begins with `worse`, `failed` or `gone` must not pass."""
    now, then = measured.ratios.get(name), accepted.get(name)
    if name in measured.failed:
        return "failed"
    if now is None:
        return "gone: not measured"
    if then is None:
        return "new: not accepted yet"
    if not now >= then / FACTOR:
        return f"worse by more than {FACTOR:g}"
    return "better: accept it to hold it" if now > then * FACTOR else "as accepted"


def show(ratio: float | None) -> str:
    """Return a ratio with two decimals, or a dash."""
    return "-" if ratio is None else f"{ratio:.2f}"


def compare(measured: Measured, accepted: dict[str, float]) -> int:
    """Print every ratio as a row of Markdown, and return the exit code."""
    names = sorted({*measured.ratios, *measured.failed, *accepted})
    verdicts = {name: judge(name, measured, accepted) for name in names}
    print("| times as fast as its reference | accepted | now | |\n|:--|--:|--:|:--|")
    for name, verdict in verdicts.items():
        print(f"| {name} | {show(accepted.get(name))} | {show(measured.ratios.get(name))} | {verdict} |")
    return int(any(verdict.startswith(("worse", "failed", "gone")) for verdict in verdicts.values()))


def accept(measured: Measured, path: Path, kind: str) -> int:
    """Write the measured ratios as the accepted ones of this kind, unless a test failed, and return the exit code."""
    if measured.failed:
        print(f"error: nothing accepted, because tests failed: {'; '.join(sorted(measured.failed))}", file=sys.stderr)
        return 1
    content = {**kept(path), kind: measured.ratios}
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 as accepted, 1 something is slower, 2 nothing to read."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("report", type=Path, help="JUnit report of the timed tests")
    parser.add_argument("--accept", action="store_true", help="accept these ratios instead of comparing them")
    parser.add_argument("--accepted", type=Path, default=ACCEPTED, help="file of the accepted ratios")
    parser.add_argument("--processor", default="", help="kind of processor; default: this one's")
    given = parser.parse_args(arguments)
    if not given.report.is_file() or not any(measured := read(given.report)):
        print(f"error: no ratios in {given.report}; try: make ratios", file=sys.stderr)
        return 2
    kind = given.processor or processor()
    if given.accept:
        return accept(measured, given.accepted, kind)
    print(f"Processor: {kind}\n")
    return compare(measured, kept(given.accepted).get(kind, {}))


if __name__ == "__main__":
    sys.exit(main())

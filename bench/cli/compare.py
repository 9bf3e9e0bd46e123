"""`compare`, `bands` and `frozen`: find numbers that changed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bench.cli.settings import ROOT, Json, Settings, find_profile, quietly, workplace

if TYPE_CHECKING:
    from bench.core.params import Params, Regression
    from bench.regression.comparison import Comparison

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

Option = typer.Option

Every = Annotated[bool, Option("--all", help="List every change, not only the worst.")]
Markdown = Annotated[Path | None, Option("--md", help="Also write Markdown, for a CI job's summary, to this file.")]


@app.command()
def compare(
    context: typer.Context,
    base: Annotated[str, typer.Argument(help="Accepted scores: a folder, a score file, REV or REV:reports/demo.")],
    new: Annotated[str, typer.Argument(help="Scores to check, named likewise.")],
    kind: Annotated[
        str | None, Option(help="rerun, rescored or retrained; default: by the lock files, for each row.")
    ] = None,
    everything: Every = False,
    md: Markdown = None,
    as_json: Json = False,
) -> None:
    """Compare two sets of scores, row by row and each run's mean.

    rerun: the same run again on the same machine; must be exactly equal. rescored: the same predictions; must be
    equal to 1e-6. retrained: other trainings; each scene and each run's mean over its scenes must stay within the bands
    of the scores' profile (regression.retrained and retrained_means in its parameter file; a method without training
    may only round), and only worse or missing rows fail. For rerun and rescored, better values and new rows fail too.
    Prints the changes, the worst first, what they have in common, and what differs upstream by the lock files of both
    sides. The last line says "nothing changed" only where no number did.

    Exit codes: 0 clean, 1 a regression, 2 the command is at fault.

    Example: python -m bench compare HEAD~1 HEAD
    """
    settings, here = cast(Settings, context.obj), Path.cwd()
    with workplace():
        from bench.core.errors import UsageError, unknown_name
        from bench.regression.comparison import compare as run
        from bench.regression.judging import CHANGE_KINDS
        from bench.regression.sides import SCORES, read_side

        if kind not in (None, *CHANGE_KINDS):
            raise unknown_name("kind of change (--kind)", str(kind), CHANGE_KINDS)
        compared = [here / side / name for side in (base, new) for name in ("", SCORES, "dvc.lock")]
        if md and (here / md).absolute() in compared:
            raise UsageError(f"--md {md} is what is compared; choose another name for the page.")
        params = settings.load()
        was, now = (read_side(side, here, ROOT, params.reports.as_posix()) for side in (base, new))
        chosen = next((name for name in CHANGE_KINDS if name == kind), None)
        source = context.parent.get_parameter_source("params") if context.parent else None
        named = source is not None and source.name == "COMMANDLINE"
        widths = _bands(settings, params, was.profile, named=named)
        _show(run(was, now, chosen, widths), everything, here / md if md else None, as_json)


def _bands(settings: Settings, params: "Params", profile: str, named: bool) -> "Regression":
    """Return the bands of the scores' profile: from --params, which must be of that profile if it was given.

    None within for a profile without a parameter file: scores that need no bands can be compared all the same.
    """
    from bench.core.errors import UsageError
    from bench.core.params import Regression

    if params.profile == profile:
        return params.regression
    if named:
        raise UsageError(
            f"--params {settings.params_file} is of profile {params.profile!r}, the scores are of {profile!r}: its "
            "bands aren't theirs. Leave it out, or name the parameter file of their profile."
        )
    try:
        file = find_profile(profile)
    except UsageError:
        return Regression()
    return Settings(file, settings.quiet).load().regression


@app.command()
def bands(
    context: typer.Context,
    scores: Annotated[str, typer.Argument(help="Scores with several seeds: a folder, a file or a git revision.")],
    write: Annotated[bool, Option("--write", help="Put the section into the parameter file (--params).")] = False,
    as_seen: Annotated[
        bool, Option("--as-seen", help="Also narrower than networks without several seeds are known to move.")
    ] = False,
) -> None:
    """Say how far scores may move when a network is trained again, from a report with several seeds.

    Prints the section `regression` for a parameter file, or puts it there: twice the largest difference between two
    seeds of a run, for each metric, of a scene (retrained) and of the mean over scenes (retrained_means). None is
    narrower than what other networks moved by between two processors, but with --as-seen.

    Example: python -m bench bands reports/study --write
    """
    settings, here = cast(Settings, context.obj), Path.cwd()
    with workplace():
        from bench.regression.bands import as_yaml, derive
        from bench.regression.sides import read_side

        side = read_side(scores, here, ROOT, settings.load().reports.as_posix())
        section = as_yaml(derive(side, least=not as_seen), f"{scores} --as-seen" if as_seen else scores)
        if write:
            _write_bands(settings.params_file, section)
            print(f"{settings.params_file}: regression is now that of {scores}")
        else:
            print(section, end="")


def _write_bands(file: Path, section: str) -> None:
    """Put a section `regression` into a parameter file; UsageError, and an untouched file, if it doesn't fit in."""
    from bench.core.errors import UsageError
    from bench.core.reading import parse_yaml, read_text
    from bench.io.files import write_text_atomic
    from bench.regression.bands import into

    before = read_text(file)
    after = into(before, section)
    old, new, wanted = (parse_yaml(text, str(file)) for text in (before, after, section))
    if new != old | wanted:
        raise UsageError(f"{file}: its section `regression` can't be replaced; put the one printed without --write in.")
    write_text_atomic(file, after)


@app.command()
def frozen(
    context: typer.Context,
    everything: Every = False,
    md: Markdown = None,
    as_json: Json = False,
    accept: Annotated[bool, Option("--accept", help="Accept today's scores: a metric changed on purpose.")] = False,
    renew: Annotated[bool, Option("--renew", help="Make scenes, predictions and scores again.")] = False,
) -> None:
    """Score stored predictions again, by every protocol.

    The repository keeps four methods' predictions of two tiny scenes with their scores: a metric that drifts by more
    than 1e-6 is found in seconds, without training.

    Exit codes: 0 clean, 1 a metric drifted, 2 the command is at fault.

    Example: python -m bench frozen
    """
    settings, here = cast(Settings, context.obj), Path.cwd()
    with workplace():
        from bench.core import progress
        from bench.regression import drift

        progress.quiet = settings.quiet
        if renew or accept:
            quietly(settings, drift.renew if renew else drift.accept)
            print(f"{drift.FROZEN.relative_to(ROOT)} renewed; look at its difference with git before committing")
            return
        _show(drift.check(), everything, here / md if md else None, as_json)


def _show(found: "Comparison", everything: bool, md: Path | None, as_json: bool) -> None:
    from bench.regression import listing

    print(listing.as_json(found) if as_json else listing.text(found, everything))
    if md:
        _write(md, listing.markdown(found, everything))
    if found.failed:
        raise typer.Exit(1)


def _write(md: Path, page: str) -> None:
    """Write the page; UsageError if that fails, since exit code 1 would mean a regression."""
    from bench.core.errors import BenchError, UsageError
    from bench.io.files import write_text_atomic

    try:
        write_text_atomic(md, page)
    except BenchError as error:
        raise UsageError(f"--md {error}") from error
    except OSError as error:  # a parent that is a file
        raise UsageError(f"--md {md}: could not be written ({error.strerror}); name a file in a folder.") from error

"""The command line: `python -m bench VERB`. No heavy import happens before a verb runs."""

import errno
import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench import __version__
from bench.cli import (
    catalogue,
    compare,
    cost,
    data,
    doctor,
    explain,
    launch,
    literature,
    new,
    own_files,
    stages,
)
from bench.cli.settings import Settings, locate
from bench.core.errors import BenchError, UsageError, not_python
from bench.core.reading import shown

app = typer.Typer(
    name="bench",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(catalogue.app)
app.add_typer(catalogue.protocol, name="protocol")
app.add_typer(doctor.app)
app.add_typer(data.app)
app.add_typer(compare.app)
app.add_typer(explain.app)
app.add_typer(launch.app)
app.add_typer(literature.app)
app.add_typer(stages.app)
app.add_typer(own_files.app)
app.add_typer(data.data, name="data")
app.add_typer(cost.app, name="cost")
app.add_typer(new.app, name="new")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"bench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    params: Annotated[Path, typer.Option(help="Parameter file of the profile to work on.")] = Path("params.yaml"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and stop.")
    ] = False,
) -> None:
    """Multi-exposure HDR imaging, benchmarked: the pipeline's stages, and what there is to run.

    `dvc repro` runs the stages in order; each can also be run alone, from any folder.

    Exit codes: 0 done, 1 a check or a training failed, 2 the input is at fault, 75 a training's time is up (the
    same command goes on), 130 interrupted.

    Example: python -m bench --params profiles/smoke/params.yaml list variants
    """
    context.obj = Settings(locate(params), quiet)


def main() -> None:
    """Run the command line; a failure that the user can mend ends with its sentence, not with a traceback.

    What the terminal's encoding lacks is written escaped: names of files come in every script.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="python -m bench")
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from error
    except SyntaxError as error:  # of a file that is imported only now: a part of a method, say
        print(f"error: {not_python(error, error.filename or 'a file of the code')}", file=sys.stderr)
        raise SystemExit(UsageError.exit_code) from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(f"error: {shown(error.filename)}: this name is too long; most disks take 255 bytes.", file=sys.stderr)
        raise SystemExit(UsageError.exit_code) from error


if __name__ == "__main__":
    main()

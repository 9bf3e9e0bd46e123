"""Your own files: `score` results, `merge` a bracket, `import-weights` that a method's authors released."""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from bench.cli.settings import Json, Settings, quietly, workplace
from bench.cli.stages import check_names
from bench.core import progress

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

Option = typer.Option

Tonemap = Annotated[str, Option(help="Tone mapping: local, reinhard, drago, mantiuk or mu-law.")]

Method = Annotated[str, Option(help="Name of a method; see: python -m bench list methods.")]


@app.command()
def score(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="Folder of <scene>.exr, .hdr, .npy or float .tif: linear RGB, relative radiance.")
    ],
    dataset: Annotated[
        str,
        Option(help="Dataset whose test scenes the files belong to; with --truth any name, by default the folder's."),
    ] = "",
    protocol: Annotated[
        list[str] | None, Option(help="Protocol to score by, once or more, or 'all'; default: the profile's.")
    ] = None,
    out: Annotated[Path | None, Option(help="CSV file for the scores of each scene.")] = None,
    maps: Annotated[Path | None, Option(help="Folder for error and visibility maps, a PNG for each scene.")] = None,
    truth: Annotated[Path | None, Option(help="Folder of ground truth with the same names, whose peak is 1.")] = None,
    submit: Annotated[str, Option(help="Keep the scores under reports/submissions as NAME.", metavar="NAME")] = "",
    link: Annotated[str, Option(help="Address of what describes the submission, such as its paper.")] = "",
    files: Annotated[str, Option(help="Address of a zip archive of these files, for who scores them again.")] = "",
    rescore: Annotated[
        str, Option(help="Confirm the submission NAME: the same files must give its scores again.", metavar="NAME")
    ] = "",
    rank: Annotated[bool, Option("--rank", help="Show the place among the rows of the profile's report too.")] = False,
    force: Annotated[bool, Option("--force", help="Replace a submission, and an --out that holds no scores.")] = False,
    trust: Annotated[bool, Option("--trust", help="Score files that look wrongly encoded too.")] = False,
    limit: Annotated[int | None, Option(min=1, help="Score only the first N scenes, to try things out.")] = None,
    jobs: Annotated[int | None, Option(min=1, help="Processes; default: one per core, 8 at most.")] = None,
    device: Annotated[str, Option(help="cpu or cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Score your own results, without our models.

    Prints the scores of each scene, and means with 95 % confidence intervals. A missing, extra or faulty file is named
    in one line on stderr; the others are scored.

    Exit codes: 0 all scored, 1 some files are bad, 2 nothing could be scored or the command is at fault.

    Example: python -m bench score work/demo/predictions/triangle-merge/panoramas/test --dataset panoramas
    """
    # Commands run in the project's root; the user's paths are relative to where the command was typed.
    paths = {"folder": folder, "out": out, "maps": maps, "truth": truth}
    options: dict[str, Any] = {name: path.absolute() for name, path in paths.items() if path}
    options |= {
        "dataset": dataset or (truth.absolute().name if truth else ""),
        "protocols": tuple(protocol or ()),
        "submit": submit,
        "link": link,
        "files": files,
        "rescore": rescore,
        "force": force,
    }
    options |= {"trust": trust, "limit": limit, "jobs": jobs, "device": device}
    settings = cast(Settings, context.obj)
    with workplace():
        from bench.core.errors import UsageError
        from bench.stages.own_files import scorecard
        from bench.stages.own_files.score import ScoreRequest, run

        if not dataset and truth is None:
            raise UsageError("name the data set with --dataset, or a folder of ground truth with --truth.")
        request, progress.quiet, params = ScoreRequest(**options), settings.quiet, settings.load()
        check_names(params, settings.params_file)
        if rank and (as_json or truth is not None):
            raise UsageError("--rank needs a data set's prepared scenes and prints text; leave --truth and --json out.")
        stage = importlib.import_module("bench.stages.own_files.rank") if rank else None
        among = stage.committed(params, request) if stage else None
        result = run(params, request)
        for line in scorecard.complaints(result):
            print(line, file=sys.stderr)
        if as_json:
            print(scorecard.as_json(result))
        elif result.rows:
            print(scorecard.text(result))
            if stage:
                from bench.report.rank import standing

                ranked = stage.place(params, result, among, submit or folder.absolute().name)
                print(f"\n{standing.text(ranked)}")
            for what, path in {"scores": request.out, "maps": request.maps}.items():
                if path is not None:
                    print(f"{what}: {path}")
        if not result.rows:
            raise UsageError(f"nothing in {request.folder} could be scored.")
        if request.submit and result.kept is None:
            print(f"no submission was kept: {request.submit} needs every scene and no bad file.", file=sys.stderr)
        if result.bad or (request.submit and result.kept is None):
            raise typer.Exit(1)


@app.command()
def rank(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of <scene>.exr, .hdr, .npy or float .tif; without --method.")
    ] = None,
    dataset: Annotated[str, Option(help="Dataset whose test scenes the results belong to.")] = "panoramas",
    name: Annotated[str, Option(help="What the row is called; default: the folder's or method's name.")] = "",
    method: Annotated[str, Option(help="Rank a method instead: its name, or its file in methods/.")] = "",
    weights: Annotated[Path | None, Option(help="Weights of that method, if it is a network.")] = None,
    preset: Annotated[str, Option(help="Preset of that method; default: the weights' own.")] = "",
    metric: Annotated[str, Option(help="Metric to rank by.")] = "psnr-mu",
    page: Annotated[Path | None, Option(help="HTML file to write; default: work/<profile>/rank.html.")] = None,
    submit: Annotated[bool, Option("--submit", help="Keep the scores under reports/submissions as the name.")] = False,
    link: Annotated[str, Option(help="Address of what describes the submission, such as its paper.")] = "",
    files: Annotated[str, Option(help="Address of a zip archive of these files, for who scores them again.")] = "",
    force: Annotated[
        bool, Option("--force", help="Replace a submission of this name, and whatever --page is.")
    ] = False,
    jobs: Annotated[int | None, Option(min=1, help="Processes; default: one per core, 8 at most.")] = None,
) -> None:
    """Show where your results stand among the rows of the profile's report.

    Scores a folder of results, or a method's predictions, and ranks them: place, difference to each row with its 95 %
    interval over places, scenes won and lost. Needs the prepared test scenes and reports/<profile>/scores.csv; nothing
    is trained, and no report is changed.

    Exit codes: 0 ranked, 1 some files are bad, 2 nothing could be scored or the command is at fault.

    Example: python -m bench rank work/demo/predictions/flow-merge/panoramas/test --dataset panoramas --name mine
    """
    folder, weights, page = folder and folder.absolute(), weights and weights.absolute(), page and page.absolute()
    method = str(Path(method).absolute()) if method.endswith(".py") else method
    settings = cast(Settings, context.obj)
    with workplace():
        from bench.core.errors import UsageError
        from bench.report.rank import standing
        from bench.stages.own_files import rank as stage
        from bench.stages.own_files import scorecard
        from bench.stages.own_files.score import ScoreRequest

        if (folder is None) == (not method):
            raise UsageError("name a folder of results, or a method with --method: one of the two.")
        progress.quiet, params = settings.quiet, settings.load()
        check_names(params, settings.params_file)
        called = name or (folder.name if folder else Path(method).stem)
        scored = ScoreRequest(
            folder or Path(), dataset, submit=called if submit else "", link=link, files=files, force=force, jobs=jobs
        )
        written = page or Path(f"work/{params.profile}/rank.html")
        result, ranked = stage.run(params, stage.RankRequest(scored, called, written, method, weights, preset, metric))
        for line in scorecard.complaints(result):
            print(line, file=sys.stderr)
        if ranked is None:
            raise UsageError(f"nothing in {folder or method} could be scored.")
        print(standing.text(ranked))
        print(f"page: {written}")
        if result.kept:
            print(f"submission kept as {result.kept}; report --partial shows its row")
        elif submit:
            print(f"no submission was kept: {called} needs every scene and no bad file.", file=sys.stderr)
        if result.bad or (submit and not result.kept):
            raise typer.Exit(1)


@app.command()
def why(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of <scene>.exr, .hdr, .npy or float .tif.")],
    dataset: Annotated[str, Option(help="Dataset whose test scenes the files belong to; with --truth any name.")] = "",
    truth: Annotated[Path | None, Option(help="Folder of ground truth with the same names, whose peak is 1.")] = None,
    scenes: Annotated[int, Option(min=1, help="Score the first N scenes: 33 settings take a while.")] = 4,
    out: Annotated[
        Path | None, Option(help="Folder for why.csv and why.png; default: work/<profile>/why/<folder's name>.")
    ] = None,
    force: Annotated[bool, Option("--force", help="Replace why.csv and why.png of an earlier call in --out.")] = False,
    trust: Annotated[bool, Option("--trust", help="Score files that look wrongly encoded too.")] = False,
    jobs: Annotated[int, Option(min=1, help="Processes.")] = 1,
) -> None:
    """Show why your HDR-VDP-2 differs from a paper's.

    Scores the same files under every setting of HDR-VDP-2 that public code states, and under single steps away from
    one of them: encoding, scale, pixels per degree, order, file and version; HDR-VDP-3 too.

    Exit codes: 0 done, 1 some files are bad, 2 nothing could be scored or the command is at fault.

    Example: python -m bench why work/demo/predictions/flow-merge/panoramas/test --dataset panoramas --scenes 2
    """
    folder, truth, out = folder.absolute(), truth and truth.absolute(), out and out.absolute()
    settings = cast(Settings, context.obj)
    with workplace():
        from bench.cli.catalogue import table
        from bench.core.errors import UsageError
        from bench.core.registry import datasets
        from bench.report.protocols.why import findings, listing
        from bench.stages.own_files import why as stage
        from bench.stages.own_files.score import ScoreRequest

        progress.quiet, params = settings.quiet, settings.load()
        if not dataset and truth is None:
            raise UsageError("name the data set with --dataset, or a folder of ground truth with --truth.")
        if truth is None:
            datasets[dataset]  # an unknown name is a fault of the command
        request = ScoreRequest(
            folder, dataset or (truth.name if truth else ""), truth=truth, limit=scenes, jobs=jobs, trust=trust,
            force=force or out is None,
        )  # fmt: skip
        result = stage.run(params, request, out or params.work / "why" / folder.name)
        for file, finding in result.findings:
            print(f"{'bad' if finding.bad else 'note'}: {file}: {finding.said}", file=sys.stderr)
        lines = listing(result.found)
        print(table(lines, lines[0]))
        for line in (f"scenes of {result.found.dataset}: {result.found.scenes}", *findings(result.found)):
            print(line)
        for path in result.files:
            print(path)
        if any(finding.bad for _, finding in result.findings):
            raise typer.Exit(1)


@app.command()
def merge(
    context: typer.Context,
    frames: Annotated[
        list[Path],
        typer.Argument(help="The bracket's frames in any order, or their folder; a ground truth in it is ignored."),
    ],
    method: Method,
    out: Annotated[Path, Option("-o", "--out", help="EXR or Radiance (.hdr) file for the result: linear RGB.")],
    exposures: Annotated[
        str, Option(help="Seconds or EVs of each frame, such as 1/320,1/80,1/20 or 0ev,2ev,4ev; or exif.")
    ] = "",
    weights: Annotated[Path | None, Option(help="Weights of a network, written by train.")] = None,
    preset: Annotated[str, Option(help="Preset of the method; of a network only for weights without a card.")] = "",
    curve: Annotated[
        str, Option(help="How frames are encoded: gamma (2.2), srgb, or estimate: the camera's, from the frames.")
    ] = "gamma",
    preview: Annotated[Path | None, Option(help="PNG or JPEG file for a tone-mapped preview.")] = None,
    tonemap: Tonemap = "local",
    tile: Annotated[int, Option(min=0, help="Edge of tiles in pixels, a multiple of 8; saves memory.")] = 0,
    force: Annotated[bool, Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Merge your own bracket.

    Exposure times come from --exposures, from exposure_times.txt or exposure.txt beside the frames, or from EXIF. In
    the result 1 is the largest radiance that the shortest frame holds. Frames are decoded with gamma 2.2; a camera's
    JPEGs have a curve of their own: a note says how far they are from gamma 2.2, and --curve estimate takes it from the
    frames. The method exposure-fusion writes a picture for display (.png, .jpg), which holds no radiance.

    Example: python -m bench merge a.jpg b.jpg c.jpg --method triangle-merge -o out.exr --preview out.png
    """
    # Commands run in the project's root; the user's paths are relative to where the command was typed.
    here = [path.absolute() for path in frames]
    written = {"out": out.absolute(), "preview": preview and preview.absolute()}
    weights = weights and weights.absolute()
    settings = cast(Settings, context.obj)
    with workplace():
        params, stage = settings.load(), importlib.import_module("bench.stages.own_files.merge")
        request = stage.MergeRequest(
            frames=stage.frames_of(here, list(written.values())), method=method, exposures=exposures, weights=weights,
            preset=preset, tile=tile, curve=curve, tonemap=tonemap, force=force, **written,
        )  # fmt: skip
        quietly(settings, lambda: stage.run(params, request))


@app.command()
def view(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Radiance: .exr, .hdr, .npy or float .tif, linear RGB.")],
    out: Annotated[Path, Option("-o", "--out", help="PNG or JPEG file for the picture.")],
    tonemap: Tonemap = "local",
    force: Annotated[bool, Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Show an HDR file as a picture.

    Viewers that show radiance as it is look dark, with burnt-out lights: this tone-maps it. Nothing else is changed.

    Example: python -m bench view out.exr -o out.png --tonemap reinhard
    """
    file, out, settings = file.absolute(), out.absolute(), cast(Settings, context.obj)
    with workplace():
        stage = importlib.import_module("bench.stages.own_files.display")
        quietly(settings, lambda: stage.view(file, out, tonemap, force))


@app.command("import-weights")
def import_weights(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="Name of a method; see: python -m bench list methods.")],
    file: Annotated[Path, typer.Argument(help="The authors' checkpoint: .pth, .safetensors or .npz.")],
    preset: Annotated[str, Option(help="Preset of the network that the file is for.")] = "published",
    name: Annotated[str, Option(help="Name of the result; default: the method's.")] = "",
    force: Annotated[bool, Option("--force", help="Replace other weights of this name.")] = False,
) -> None:
    """Convert weights that a method's authors released.

    Writes weights/NAME.safetensors in this project's names and conventions, with a card that records the source, and
    prints the entries of the parameter file for a row measured with them. Nothing in the file is executed.

    Example: python -m bench import-weights ahdrnet checkpoint.pth --name ahdrnet-authors
    """
    file, settings = file.absolute(), cast(Settings, context.obj)
    with workplace():
        stage = importlib.import_module("bench.stages.own_files.import_weights")
        params = settings.load()
        quietly(settings, lambda: stage.run(params, method, file, preset, name, force))

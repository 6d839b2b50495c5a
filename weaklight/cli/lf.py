"""Commands about labelling functions: lf list, new, check and suggest."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaklight.errors import DataError, LabelingError, WeaklightError
from weaklight.words import counted

if TYPE_CHECKING:
    from labeling_functions import LabelingFunction
    from pipelines.project import Project

__all__ = ["register"]

POLL_S = 0.3  # how soon --watch sees a save
SUGGEST_FROM = 2000  # dev items, and unlabelled ones

ProjectOption = Annotated[Path, typer.Option(help="The project's folder.")]
NamesArgument = Annotated[list[str] | None, typer.Argument(help="Only these; all by default.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    lf = typer.Typer(
        no_args_is_help=True, help="Labelling functions: list, write, check and find them."
    )
    lf.command("list")(lf_list)
    lf.command("new")(lf_new)
    lf.command("check")(lf_check)
    lf.command("suggest")(lf_suggest)
    app.add_typer(lf, name="lf")


def lf_list(project: ProjectOption = Path()) -> None:
    """List the project's labelling functions, with what the latest run says of each."""
    from labeling_functions import raise_broken
    from pipelines.lf_queries import lf_table
    from pipelines.project import Project
    from pipelines.queries import RunView
    from weaklight.cli.lf_show import accuracy, percent, votes_for
    from weaklight.cli.lf_show import kind as kind_of
    from weaklight.cli.show import table

    opened = Project.open(project)
    lfs, broken = _load(opened)
    if not lfs:
        raise_broken(broken)
        typer.echo(_none_yet(opened))
        return
    record = opened.latest_run(having="vote")
    known: dict[str, Any] = {}
    if record is not None:
        known = {
            str(row["name"]): row for row in lf_table(RunView(opened, record)).to_dict("records")
        }
    rows = []
    for lf in lfs:
        last = known.get(lf.name)
        rows.append(
            [
                lf.name,
                kind_of(lf),
                votes_for(lf, last),
                "-" if last is None else percent(last["coverage"]),
                "-" if last is None else accuracy(last),
                lf.author or "-",
                ", ".join(lf.tags) or "-",
                lf.description,
            ]
        )
    header = "name|kind|votes for|coverage|accuracy on dev|author|tags|description"
    typer.echo(table(header.split("|"), rows))
    if record is None:
        typer.echo("\nno run yet: `weaklight lf check` tries them on a sample")
    elif any(known.get(lf.name, {}).get("digest") != lf.digest for lf in lfs):
        typer.echo("\nsome changed since the latest run, whose numbers these are")
    raise_broken(broken)


def lf_new(
    name: Annotated[str, typer.Argument(help="What to call it, such as tall_and_narrow.")],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            "-k",
            help="python, columns, keywords, regex, lookup, threshold, metadata, rule, prototype, "
            "model, annotator, zero_shot.",
        ),
    ] = "python",
    vote: Annotated[
        str | None,
        typer.Option(help="The class or class set that it votes for; the first class by default."),
    ] = None,
    project: ProjectOption = Path(),
) -> None:
    """Write a new labelling function that runs as it stands, to be changed by you."""
    from labeling_functions.ballot import Ballot
    from labeling_functions.starters import starter
    from labeling_functions.suggest.material import Material
    from pipelines.project import Project
    from pipelines.sample import draw_sample

    opened = Project.open(project)
    sample = draw_sample(opened, 500)
    ballot = Ballot(tuple(opened.config.classes), opened.config.vote_sets)
    ending, text = starter(name, kind, Material(sample.table, sample.gold, ballot), vote)
    folder = opened.root / opened.config.vote.folder
    for path in (folder / f"{name}.py", folder / f"{name}.toml"):
        if path.exists():
            raise LabelingError(f"{path} exists already; edit it, or choose another name")
    if folder.is_dir() and name in [lf.name for lf in _load(opened)[0]]:
        raise LabelingError(f"there is an LF called {name!r} already; choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}{ending}"
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    typer.echo(f"wrote {path}; change it to what you know, and see what it does with")
    typer.echo(f"  weaklight lf check {name} --watch{_project_option(project)}")


def lf_check(
    names: NamesArgument = None,
    sample: Annotated[
        int, typer.Option(min=1, help="Try on at most so many dev items, and unlabelled ones.")
    ] = 500,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again at each save, until Ctrl-C.")
    ] = False,
    slow: Annotated[
        bool, typer.Option("--slow", help="On all items, in processes that cannot hang us.")
    ] = False,
    project: ProjectOption = Path(),
) -> None:
    """Try labelling functions: coverage, conflicts, accuracy on dev, mistakes and findings.

    Gold of test is never read. Dev is what you tune on, so expect somewhat less on test.
    """
    from labeling_functions import raise_broken
    from pipelines.project import Project

    opened = Project.open(project)
    seen: dict[str, str] = {}

    def check() -> None:
        lfs, broken = _load(opened)
        if not (lfs or broken or names):
            typer.echo(_none_yet(opened))
            return
        chosen = _choose(lfs, names, broken)
        changed = {lf.name for lf in chosen if seen.get(lf.name) != lf.digest}
        seen.update((lf.name, lf.digest) for lf in lfs)
        if slow:
            _check_on_all(opened, lfs, chosen)
        else:
            _check_on_sample(opened, lfs, chosen, changed, sample)
        raise_broken(broken)

    if watch:
        _watch(opened.root / opened.config.vote.folder, check)
    else:
        check()


def lf_suggest(
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", "-k", help="ngrams, stumps, clusters or prototypes; all."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 10,
    precision: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="What a rule must reach where it is found.")
    ] = 0.8,
    write: Annotated[
        Path | None, typer.Option(help="Add them to this file, such as lfs/suggested.toml.")
    ] = None,
    take: Annotated[
        str, typer.Option(help="Which ones to write, such as 1,4; all by default.")
    ] = "",
    project: ProjectOption = Path(),
) -> None:
    """Propose labelling functions from the dev items and the features, as TOML to accept.

    Each was found on one half of dev and judged on the other half.
    """
    from labeling_functions import apply_lfs, raise_broken
    from labeling_functions.ballot import Ballot
    from labeling_functions.suggest import PROPOSERS, Material, suggest
    from labeling_functions.templates import toml
    from labeling_functions.trial import examples_of
    from pipelines.project import Project
    from pipelines.sample import draw_sample
    from weaklight.cli.lf_show import show_suggestion

    opened = Project.open(project)
    folder = opened.root / opened.config.vote.folder
    lfs, broken = _load(opened) if folder.is_dir() else ([], [])
    drawn = draw_sample(opened, SUGGEST_FROM, always=[i for lf in lfs for i in examples_of(lf)])
    ballot = Ballot(tuple(opened.config.classes), opened.config.vote_sets)
    present = apply_lfs(
        lfs,
        drawn.table,
        classes=ballot.classes,
        class_sets=ballot.class_sets,
        features=drawn.features,
        workers=0,
        time_limit_s=opened.config.vote.time_limit_s,
    )
    material = Material(drawn.table, drawn.gold, ballot, drawn.features)
    advice = suggest(
        material,
        present.votes,
        names=[lf.name for lf in lfs],
        kinds=kind or tuple(PROPOSERS),
        top=top,
        precision=precision,
        seed=opened.config.seed,
    )
    if drawn.features is None:
        typer.echo("no features yet (`weaklight embed`): no clusters and no prototypes", err=True)
    for number, found in enumerate(advice.suggestions, start=1):
        show_suggestion(number, found)
    typer.echo(advice.caution)
    if not advice.suggestions:
        typer.echo(
            "nothing to suggest beyond what is there. More dev items help most: `weaklight gold "
            "plan --role dev`; so may one --kind, as fewer looks need less of a margin, or a lower "
            "--precision"
        )
    elif write is None:
        numbers = ",".join(str(n + 1) for n in range(min(2, len(advice.suggestions))))
        typer.echo(
            f"Accept some with: weaklight lf suggest --write lfs/suggested.toml --take {numbers}"
        )
    else:
        path = write if write.is_absolute() else opened.root / write
        for found in _taken(advice.suggestions, take):
            toml.append(path, found.table)
            typer.echo(f"added {found.table['name']} to {path}")
    raise_broken(broken)


def _load(project: Project) -> tuple[list[LabelingFunction], list[LabelingError]]:
    from labeling_functions import load_readable

    return load_readable(project.root / project.config.vote.folder)


def _none_yet(project: Project) -> str:
    return (
        f"no labelling function in {project.config.vote.folder}; `weaklight lf new` writes one "
        "(bags and labels that came along need none)"
    )


def _choose(
    lfs: list[LabelingFunction], names: list[str] | None, broken: list[LabelingError]
) -> list[LabelingFunction]:
    from labeling_functions import raise_broken
    from weaklight.words import nearest

    known = {lf.name: lf for lf in lfs}
    if not lfs:
        raise_broken(broken)
        raise LabelingError("there is no labelling function yet; `weaklight lf new` writes one")
    for name in names or ():
        if name not in known:
            unknown = f"no labelling function is called {name!r}{nearest(name, known)}"
            raise_broken([*broken, LabelingError(unknown)])
    return [known[name] for name in names] if names else lfs


def _check_on_sample(
    project: Project,
    lfs: list[LabelingFunction],
    chosen: list[LabelingFunction],
    changed: set[str],
    n: int,
) -> None:
    from pipelines.checking import check_on_sample
    from weaklight.cli.lf_show import show_check
    from weaklight.cli.show import Display

    with Display() as display:
        checked = check_on_sample(
            project, lfs, n, load_encoder=len(chosen) < len(lfs), progress=display.progress
        )
    n_dev, n_random = int((checked.gold >= 0).sum()), int(checked.is_random.sum())
    typer.echo(
        f"tried on {n_random:,} unlabelled items (coverage, conflicts) and {n_dev:,} dev items "
        "(accuracy)"
    )
    show_check(checked, chosen, changed)


def _check_on_all(
    project: Project, lfs: list[LabelingFunction], chosen: list[LabelingFunction]
) -> None:
    import numpy as np

    from labeling_functions import LFReport
    from pipelines.checking import Checked
    from pipelines.engine import run_line
    from pipelines.queries import RunView
    from pipelines.stages.vote import lf_view
    from weaklight.cli.lf_show import show_check
    from weaklight.cli.show import Display

    with Display() as display:
        record = run_line(project, ("vote",), progress=display.progress)
    view = RunView(project, record)
    items, attributes = view.path("ingest", "items"), view.path("ingest", "attributes")
    assert items is not None and attributes is not None
    typer.echo(f"ran on all {counted(len(view.items), 'item')}")
    checked = Checked(
        lfs,
        view.classes,
        view.class_sets,
        np.asarray(view.votes),
        [LFReport(**entry) for entry in view.lfs],
        items=lf_view(items, attributes),
        gold=view.dev_gold,
        is_random=np.ones(len(view.items), bool),
    )
    show_check(checked, chosen, checked.names)


def _watch(folder: Path, check: Callable[[], None]) -> None:
    """Call ``check`` now and whenever a file of the folder changes, until Ctrl-C."""
    before: dict[Path, int] | None = None
    try:
        while True:
            now = _saved(folder)
            if now != before:
                before = now
                typer.echo(f"\n--- {time.strftime('%H:%M:%S')} ---")
                try:
                    check()
                except WeaklightError as error:
                    typer.secho(f"error: {error}", fg="red", err=True)
                typer.echo(f"\nwatching {folder}; Ctrl-C ends it")
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        typer.echo("\nno longer watching")


def _saved(folder: Path) -> dict[Path, int]:
    """Return when each file of the folder was last written."""
    saved = {}
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and not path.name.startswith("."):
                saved[path] = path.stat().st_mtime_ns
        except FileNotFoundError:  # an editor has just renamed it
            continue
    return saved


def _taken(suggestions: list[Any], take: str) -> list[Any]:
    if not take:
        return suggestions
    try:
        numbers = [int(part) for part in take.split(",")]
    except ValueError:
        numbers = [0]
    if not all(1 <= number <= len(suggestions) for number in numbers):
        raise DataError(
            f"--take lists numbers from 1 to {len(suggestions)}, such as 1,2, but came {take!r}"
        )
    return [suggestions[number - 1] for number in numbers]


def _project_option(project: Path) -> str:
    return "" if project == Path() else f" --project {project}"

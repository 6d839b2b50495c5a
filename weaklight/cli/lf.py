"""Commands about labelling functions: lf list, new, check and suggest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaklight.errors import DataError, LabelingError, WeaklightError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from labeling_functions import Finding, LabelingFunction, LFReport
    from pipelines.project import Project
    from weaklight.contracts import Votes

__all__ = ["register"]

POLL_S = 0.3  # how soon --watch sees a save
LONGEST_CELL = 40  # characters of a value that is shown beside a mistake
MAX_READ = 6  # values shown beside a mistake
MAX_FINDINGS = 20
SHARD_ROWS = 16_384  # [vote] time_limit_s is for so many items
SHORTEST_LIMIT_S = 2.0
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
    from pipelines.project import Project
    from pipelines.queries import lf_table
    from weaklight.cli.show import table

    opened = Project.open(project)
    record = opened.latest_run(having="vote")
    known: dict[str, Any] = {}
    if record is not None:
        known = {str(row["name"]): row for row in lf_table(opened, record).to_dict("records")}
    rows = []
    for lf in _load(opened):
        last = known.get(lf.name)
        rows.append(
            [
                lf.name,
                _kind(lf),
                _votes_for(lf, last),
                "-" if last is None else _percent(last["coverage"]),
                "-" if last is None else _accuracy(last),
                lf.author or "-",
                ", ".join(lf.tags) or "-",
                lf.description,
            ]
        )
    header = "name|kind|votes for|coverage|accuracy on dev|author|tags|description"
    typer.echo(table(header.split("|"), rows))
    if record is None:
        typer.echo("\nno run yet: `weaklight lf check` tries them on a sample")
    elif any(known.get(lf.name, {}).get("digest") != lf.digest for lf in _load(opened)):
        typer.echo("\nsome changed since the latest run, whose numbers these are")


def lf_new(
    name: Annotated[str, typer.Argument(help="What to call it, such as tall_and_narrow.")],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            "-k",
            help="python, columns, keywords, regex, lookup, threshold, metadata, rule, prototype.",
        ),
    ] = "python",
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
    ending, text = starter(name, kind, Material(sample.table, sample.gold, ballot))
    folder = opened.root / opened.config.vote.folder
    for path in (folder / f"{name}.py", folder / f"{name}.toml"):
        if path.exists():
            raise LabelingError(f"{path} exists already; edit it, or choose another name")
    if folder.is_dir() and name in [lf.name for lf in _load(opened)]:
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
    from pipelines.project import Project

    opened = Project.open(project)
    seen: dict[str, str] = {}

    def check() -> None:
        lfs = _load(opened)
        chosen = _choose(lfs, names)
        changed = {lf.name for lf in chosen if seen.get(lf.name) != lf.digest}
        seen.update((lf.name, lf.digest) for lf in lfs)
        _check_on_all(opened, lfs, chosen) if slow else _check_on_sample(
            opened, lfs, chosen, changed, sample
        )

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
    from labeling_functions.ballot import Ballot
    from labeling_functions.suggest import PROPOSERS, Material, suggest
    from labeling_functions.templates import toml
    from labeling_functions.trial import examples_of, try_lfs
    from pipelines.project import Project
    from pipelines.sample import draw_sample

    opened = Project.open(project)
    folder = opened.root / opened.config.vote.folder
    lfs = _load(opened) if folder.is_dir() else []
    drawn = draw_sample(opened, SUGGEST_FROM, always=[i for lf in lfs for i in examples_of(lf)])
    ballot = Ballot(tuple(opened.config.classes), opened.config.vote_sets)
    present = try_lfs(
        lfs,
        drawn.table,
        classes=ballot.classes,
        class_sets=ballot.class_sets,
        features=drawn.features,
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
        lf = toml.from_dict(found.table)
        low, high = found.judged.interval
        typer.echo(f"# {number}. {lf.description} ({found.source})")
        typer.echo(
            f"#    right on {found.judged.successes} of {found.judged.n} held-back dev items, "
            f"95 % interval {low:.2f} to {high:.2f}; votes on {_percent(found.coverage)} of them, "
            f"and on {_percent(found.new)} of all items where nothing votes yet"
        )
        typer.echo(toml.to_toml(found.table))
    typer.echo(advice.caution)
    if not advice.suggestions:
        typer.echo("nothing to suggest beyond what is there; try a lower --precision")
    elif write is None:
        typer.echo("Accept some with: weaklight lf suggest --write lfs/suggested.toml --take 1,2")
    else:
        path = write if write.is_absolute() else opened.root / write
        for found in _taken(advice.suggestions, take):
            toml.append(path, found.table)
            typer.echo(f"added {found.table['name']} to {path}")


def _load(project: Project) -> list[LabelingFunction]:
    from labeling_functions import load_folder

    return load_folder(project.root / project.config.vote.folder)


def _choose(lfs: list[LabelingFunction], names: list[str] | None) -> list[LabelingFunction]:
    from labeling_functions.ballot import nearest

    known = {lf.name: lf for lf in lfs}
    if not lfs:
        raise LabelingError("there is no labelling function yet; `weaklight lf new` writes one")
    for name in names or ():
        if name not in known:
            raise LabelingError(f"no labelling function is called {name!r}{nearest(name, known)}")
    return [known[name] for name in names] if names else lfs


def _check_on_sample(
    project: Project,
    lfs: list[LabelingFunction],
    chosen: list[LabelingFunction],
    changed: set[str],
    n: int,
) -> None:
    from labeling_functions.trial import examples_of, try_lfs
    from pipelines.sample import draw_sample
    from weaklight.cli.show import Display

    examples = [item for lf in lfs for item in examples_of(lf)]
    with Display() as display:
        drawn = draw_sample(project, n, always=examples, progress=display.progress)
    trial = try_lfs(
        lfs,
        drawn.table,
        classes=project.config.classes,
        class_sets=project.config.vote_sets,
        features=drawn.features,
        time_limit_s=max(
            SHORTEST_LIMIT_S, project.config.vote.time_limit_s * len(drawn.table) / SHARD_ROWS
        ),
    )
    n_dev, n_random = int((drawn.gold >= 0).sum()), int(drawn.is_random.sum())
    typer.echo(
        f"tried on {n_random:,} unlabelled items (coverage, conflicts) and {n_dev:,} dev items "
        "(accuracy)"
    )
    _show(
        project, lfs, chosen, changed, trial.votes, trial.reports, drawn.table, drawn.gold,
        drawn.is_random,
    )  # fmt: skip
    for name, where in trial.overstayed.items():
        typer.secho(
            f"\n{name} was stopped: it took too long, at {where}. A loop that never ends?",
            fg="red",
        )


def _check_on_all(
    project: Project, lfs: list[LabelingFunction], chosen: list[LabelingFunction]
) -> None:
    import numpy as np

    from labeling_functions import LFReport
    from pipelines.engine import run_line
    from pipelines.queries import RunView
    from pipelines.stages.vote import lf_view
    from weaklight.cli.show import Display

    with Display() as display:
        record = run_line(project, ("vote",), progress=display.progress)
    view = RunView(project, record)
    items, attributes = view.path("ingest", "items"), view.path("ingest", "attributes")
    assert items is not None and attributes is not None
    typer.echo(f"ran on all {len(view.items):,} items")
    _show(
        project, lfs, chosen, {lf.name for lf in chosen}, np.asarray(view.votes),
        [LFReport(**entry) for entry in view.lfs], lf_view(items, attributes), view.dev_gold,
        np.ones(len(view.items), bool),
    )  # fmt: skip


def _show(
    project: Project,
    lfs: list[LabelingFunction],
    chosen: list[LabelingFunction],
    changed: set[str],
    votes: Votes,
    reports: Sequence[LFReport],
    items: pd.DataFrame,
    gold: NDArray[np.int64],
    is_random: NDArray[np.bool_],
) -> None:
    """Print the table, what went wrong, mistakes of the changed LFs, and the findings."""
    from labeling_functions import analyse, find_problems
    from labeling_functions.trial import mistakes, without_examples
    from weaklight.cli.show import table

    names = [lf.name for lf in lfs]
    classes, class_sets = project.config.classes, project.config.vote_sets
    judged = without_examples(votes, lfs, items["item_id"])
    spread = analyse(votes[is_random], names, classes=classes, class_sets=class_sets)
    accuracy = analyse(judged, names, classes=classes, class_sets=class_sets, gold=gold)
    shown = {lf.name for lf in chosen}
    for report in reports:
        if report.name in shown and (report.first_traceback or report.n_errors):
            typer.secho(f"\n{report.name} {report.note}", fg="red")
            typer.echo(report.first_traceback or "", nl=bool(report.first_traceback))
    vote_names = [*classes, *(s.name for s in class_sets)]
    for lf in chosen:
        wrong = (
            []
            if lf.name not in changed
            else mistakes(
                lf,
                judged[:, names.index(lf.name)],
                items,
                gold,
                classes=classes,
                class_sets=class_sets,
            )
        )
        if not wrong:
            continue
        row = accuracy.loc[lf.name]
        typer.echo(f"\n{lf.name} is wrong on {row['gold_n'] - row['correct']} dev items:")
        lines = [
            [m.item_id, f"said {vote_names[m.said]}", f"is {classes[m.gold]}", _reading(m.read)]
            for m in wrong
        ]
        typer.echo(_columns(lines))
    rows = [
        [
            lf.name,
            _votes_for(lf, accuracy.loc[lf.name]),
            _percent(spread["coverage"][lf.name]),
            _percent(spread["conflicts"][lf.name]),
            _accuracy(accuracy.loc[lf.name]),
        ]
        for lf in chosen
    ]
    header = ["name", "votes for", "coverage", "conflicts", "accuracy on dev"]
    typer.echo("\n" + table(header, rows))
    found = find_problems(votes, names, classes=classes, class_sets=class_sets, gold=gold)
    _show_findings([f for f in found if shown & set(f.lfs)])


def _show_findings(found: list[Finding]) -> None:
    if not found:
        return
    typer.echo("\nlook at these:")
    for finding in found[:MAX_FINDINGS]:
        typer.echo(f"- {finding.sentence}")
    if len(found) > MAX_FINDINGS:
        typer.echo(f"- and {len(found) - MAX_FINDINGS} more; name some LFs to see theirs alone")


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


def _kind(lf: LabelingFunction) -> str:
    """Return what sort of LF it is, in a word."""
    kind = getattr(lf, "kind", None) or type(lf).__name__.removesuffix("Function").lower()
    return {"item": "python", "column": "columns"}.get(kind, kind)


def _votes_for(lf: LabelingFunction, row: Any) -> str:
    """Return what it votes for, as declared or else as seen."""
    declared = getattr(lf, "vote", None)
    if declared is not None:
        return str(declared)
    seen = [] if row is None else list(row["polarity"])
    return ", ".join(seen[:3]) + (", ..." if len(seen) > 3 else "") or "-"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _accuracy(row: Any) -> str:
    if not row["gold_n"]:
        return "-"
    interval = f"[{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['accuracy']:.2f} {interval} n={row['gold_n']}"


def _reading(read: Any) -> str:
    parts = []
    for name, value in list(read.items())[:MAX_READ]:
        shown = f"{value:.3g}" if isinstance(value, float) else " ".join(str(value).split())
        parts.append(
            f"{name} {shown if len(shown) <= LONGEST_CELL else shown[:LONGEST_CELL] + '...'}"
        )
    return ", ".join(parts)


def _columns(lines: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  " + "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _project_option(project: Path) -> str:
    return "" if project == Path() else f" --project {project}"

"""What the ``lf`` commands print about labelling functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from weaklight.cli.show import table
from weaklight.words import counted

if TYPE_CHECKING:
    from labeling_functions import LabelingFunction
    from labeling_functions.suggest import Suggestion
    from pipelines.checking import Checked

__all__ = ["accuracy", "kind", "percent", "show_check", "show_suggestion", "votes_for"]

LONGEST_CELL = 40  # characters of a value that is shown beside a mistake
MAX_READ = 6  # values shown beside a mistake
MAX_FINDINGS = 20
MAX_CONFLICTS = 5  # pairs of LFs whose contradictions are shown
MAX_SHOWN_IDS = 5
OF_MISSING = "(NoneType is the type of a missing cell: return first where the cell is None)"


def show_check(
    checked: Checked, chosen: Sequence[LabelingFunction], changed: Collection[str]
) -> None:
    """Print errors, mistakes of the changed LFs, the table, contradictions and findings.

    ``chosen`` are the LFs to speak of; all others only take part in conflicts.
    """
    names, spread, right = checked.names, checked.spread, checked.right
    shown = {lf.name for lf in chosen}
    told = set()
    for report in checked.reports:
        if report.timed_out_rows or (report.name in shown and report.n_errors):
            told.add(report.name)
            typer.secho(f"\n{report.name} {report.note}", fg="red")
            if report.first_traceback:
                typer.echo(report.first_traceback)
                if "'NoneType'" in report.first_traceback:
                    typer.echo(OF_MISSING)
    for lf in chosen:
        if lf.name in changed:
            _show_mistakes(checked, lf.name)
    rows = [
        [
            lf.name,
            votes_for(lf, right.loc[lf.name]),
            percent(spread["coverage"][lf.name]),
            percent(spread["conflicts"][lf.name]),
            accuracy(right.loc[lf.name]),
        ]
        for lf in chosen
    ]
    header = ["name", "votes for", "coverage", "conflicts", "accuracy on dev"]
    typer.echo("\n" + table(header, rows))
    _show_conflicts(checked, [names.index(lf.name) for lf in chosen])
    sentences = [
        finding.sentence
        for finding in checked.findings()
        if shown & set(finding.lfs)
        and not (finding.kind == "never votes" and told & set(finding.lfs))  # its error says why
    ]
    if sentences:
        typer.echo("\nlook at these:")
    for sentence in sentences[:MAX_FINDINGS]:
        typer.echo(f"- {sentence}")
    if len(sentences) > MAX_FINDINGS:
        left = len(sentences) - MAX_FINDINGS
        typer.echo(f"- and {left} more; name some LFs to see theirs alone")


def show_suggestion(number: int, found: Suggestion) -> None:
    """Print a suggested LF as TOML, with what is known of it as comments."""
    from labeling_functions.templates import toml

    low, high = found.judged.interval
    typer.echo(f"# {number}. {toml.from_dict(found.table).description} ({found.source})")
    typer.echo(
        f"#    right on {found.judged.successes} of {found.judged.n} held-back dev items, "
        f"95 % interval {low:.2f} to {high:.2f}; votes on {percent(found.coverage)} of them, "
        f"and on {percent(found.new)} of all items where nothing votes yet"
    )
    typer.echo(toml.to_toml(found.table))


def kind(lf: LabelingFunction) -> str:
    """Return what sort of LF it is, in a word."""
    found = getattr(lf, "kind", None) or type(lf).__name__.removesuffix("Function").lower()
    return {"item": "python", "column": "columns"}.get(found, found)


def votes_for(lf: LabelingFunction, row: Any) -> str:
    """Return what it votes for, as declared or else as seen in a row of the LF table."""
    declared = getattr(lf, "vote", None)
    if declared is not None:
        return str(declared)
    seen = [] if row is None else list(row["polarity"])
    return ", ".join(seen[:3]) + (", ..." if len(seen) > 3 else "") or "-"


def percent(share: float) -> str:
    """Return a share as text."""
    return f"{share:.1%}"


def accuracy(row: Any) -> str:
    """Return the accuracy in a row of the LF table with its interval and n."""
    if not row["gold_n"]:
        return "-"
    return f"{row['accuracy']:.2f} [{row['low']:.2f}, {row['high']:.2f}] n={row['gold_n']}"


def _show_mistakes(checked: Checked, name: str) -> None:
    found, row = checked.mistakes(name), checked.right.loc[name]
    if not found:
        return
    n_wrong = row["gold_n"] - row["correct"]
    typer.echo(f"\n{name} is wrong on {n_wrong} of {row['gold_n']} dev items:")
    named = [*checked.classes, *(class_set.name for class_set in checked.class_sets)]
    lines = [
        [m.item_id, f"said {named[m.said]}", f"is {named[m.gold]}", _reading(m.read)] for m in found
    ]
    typer.echo(_aligned(lines))


def _show_conflicts(checked: Checked, columns: list[int]) -> None:
    """Print which LFs contradict each other most, and the answers that would settle most."""
    from labeling_functions import drill_pair, pair_counts, settle_most_conflicts

    votes, ids = checked.votes[:, columns], checked.items["item_id"].to_numpy()
    conflicts = pair_counts(votes, **checked.meaning).conflicts
    pairs = [(int(conflicts[a, b]), b, a) for a in range(len(columns)) for b in range(a)]
    worst = sorted((pair for pair in pairs if pair[0]), key=lambda p: (-p[0], p[1:]))
    if not worst:
        return
    lines = []
    for count, a, b in worst[:MAX_CONFLICTS]:
        rows = drill_pair(votes, a, b, **checked.meaning)["conflicts"][:MAX_SHOWN_IDS]
        pair = [checked.names[columns[a]], checked.names[columns[b]]]
        lines.append([*pair, counted(count, "item"), "such as " + ", ".join(ids[rows])])
    typer.echo("\nmost contradictions:\n" + _aligned(lines))
    settling = ids[settle_most_conflicts(votes, MAX_SHOWN_IDS, **checked.meaning)]
    typer.echo(f"knowing the class of these would settle most of them: {', '.join(settling)}")


def _reading(read: Mapping[str, Any]) -> str:
    parts = []
    for name, value in list(read.items())[:MAX_READ]:
        text = f"{value:.3g}" if isinstance(value, float) else " ".join(str(value).split())
        parts.append(f"{name} {text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + '...'}")
    return ", ".join(parts)


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  " + "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )

"""Commands about gold: how much to label by hand, which items, and taking the labels in."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from weaklight.words import counted

__all__ = ["register"]

_WIDTHS = (0.2, 0.1, 0.06, 0.04)

ProjectOption = Annotated[Path, typer.Option(help="The project's folder.")]
ReviewerOption = Annotated[str, typer.Option(help="Who labels; your login name by default.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    gold = typer.Typer(no_args_is_help=True, help="Gold: items that people label to measure by.")
    gold.command("plan")(plan)
    gold.command("add")(add)
    app.add_typer(gold, name="gold")


def plan(
    project: ProjectOption = Path(),
    width: Annotated[
        float | None, typer.Option(help="Width of the interval wanted: 0.1 is ten points.")
    ] = None,
    guess: Annotated[float, typer.Option(help="The accuracy that you expect.")] = 0.8,
    role: Annotated[str, typer.Option(help="dev, calibration or test.")] = "test",
    to: Annotated[
        Path | None, typer.Option(help="Draw the items and write a sheet to fill in.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    reviewer: ReviewerOption = "",
) -> None:
    """Say how many items to label by hand, and with --to draw them at random."""
    from pipelines.gold import draw_gold, items_now, write_sheet
    from pipelines.project import Project
    from pipelines.reviews import GOLD_QUEUE
    from weak_supervision.evaluation.sample_size import rows_for_width
    from weaklight.cli.show import table
    from weaklight.contracts import ROLES
    from weaklight.errors import DataError

    opened = Project.open(project)
    if width is None:
        if to is not None:
            raise DataError("to draw items, say how exact the number must be, such as --width 0.1")
        rows = [[f"{w:g}", f"{rows_for_width(w, guess=guess)}"] for w in _WIDTHS]
        typer.echo(f"Items to label by hand, if about {guess:.0%} of the labels are right:")
        typer.echo(table(["width of the 95 % interval", "items"], rows))
        store, there = opened.reviews(), items_now(opened)
        drawn = store.gold().assign(
            is_reviewed=lambda t: t["item_id"].isin(store.current(outside=GOLD_QUEUE)["item_id"]),
            is_there=lambda t: t["item_id"].isin(there) if there is not None else True,
        )
        for name in ROLES:
            of_role = drawn[drawn["role"] == name]
            if of_role.empty:
                continue
            here, gone = of_role[of_role["is_there"]], of_role[~of_role["is_there"]]
            told = f"{name}: {len(here)} drawn, {here['label'].notna().sum()} labelled"
            if n_reviewed := int(here["is_reviewed"].sum()):
                told += f"; {n_reviewed} reviewed before, which no longer teaches"
            if len(gone):
                told += (
                    f"; {len(gone)} more, {gone['label'].notna().sum()} labelled, "
                    f"{'is' if len(gone) == 1 else 'are'} gone from the items"
                )
            typer.echo(told)
        typer.echo("Draw them with --width WIDTH --role ROLE --to FILE.csv.")
        return
    n = rows_for_width(width, guess=guess)
    typer.echo(
        f"{counted(n, 'item gives', 'items give')} an interval {width:g} wide, if about "
        f"{guess:.0%} of the labels are right."
    )
    if to is None:
        typer.echo(f"Draw them with: weaklight gold plan --width {width:g} --role {role} --to FILE")
        return
    if to.exists():
        raise DataError(f"{to} exists and may hold labels; give another name")
    draw = draw_gold(opened, n, role, reviewer=reviewer or getpass.getuser(), seed=seed)
    write_sheet(draw, to)
    typer.echo(f"Drew {n} of {draw.frame} items without a role for {role} and wrote them to {to}.")
    for remark in filter(None, (draw.set_aside, draw.unevenness)):
        typer.echo(remark)
    typer.echo(
        f"Fill in the column gold without looking at suggestions, then: weaklight gold add {to}"
    )


def add(
    sheet: Annotated[Path, typer.Argument(help="The sheet, filled in, wholly or in part.")],
    project: ProjectOption = Path(),
    reviewer: ReviewerOption = "",
) -> None:
    """Take in a sheet of hand labels; the next run measures by them."""
    from pipelines.gold import add_gold
    from pipelines.project import Project

    n = add_gold(Project.open(project), sheet, reviewer=reviewer or getpass.getuser())
    if n:
        typer.echo(f"recorded {counted(n, 'label')}; the next `weaklight run` reads them")
    else:
        typer.echo(f"nothing new in {sheet}: its column gold is empty, or was taken in before")

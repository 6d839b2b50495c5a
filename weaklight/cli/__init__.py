"""The command line. Rooms are imported inside commands, so ``weaklight --help`` stays quick.

Try it: ``weaklight --help``.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand
from typer.models import CommandInfo

from weaklight import __version__
from weaklight.cli import export, gold, history, imports, lf, line, people, projects
from weaklight.errors import WeaklightError

__all__ = ["app", "main"]

_STOPPED = 128 + signal.SIGINT  # the exit code of a command that Ctrl-C stopped

app = typer.Typer(
    name="weaklight",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn unlabelled data into training labels people can trust.",
)
for room in (projects, imports, line, history, lf, people, gold, export):
    room.register(app)


class _Command(TyperCommand):
    """A command that says how to name the project where it came as an argument too many."""

    allow_extra_args = True  # to say it here

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, then refuse what is left; ``ctx`` is of click, or of typer's copy of it."""
        left = super().parse_args(ctx, args)
        if left:
            message = f"Got unexpected extra argument(s) ({' '.join(left)})"
            if any(parameter.name == "project" for parameter in self.params):
                message += f"; a project's folder is named by --project {left[0]}"
            ctx.fail(message)
        return left


def _commands(group: typer.Typer) -> Iterator[CommandInfo]:
    yield from group.registered_commands
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            yield from _commands(inner.typer_instance)


for command in _commands(app):
    command.cls = _Command


def _version(show: bool) -> None:
    if show:
        typer.echo(f"weaklight {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Show the libraries' log lines."),
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


def main() -> None:
    """Run the command line; errors of ours are one plain message, exit code 1 (2: wrong usage)."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does
    # What we start takes no app.py of the current folder for ours.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        app()
    except WeaklightError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise SystemExit(error.exit_code) from None
    except SystemExit as end:
        if end.code == _STOPPED:
            typer.secho("stopped; run the same command again to go on from here", err=True)
        raise

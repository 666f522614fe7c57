"""The group of commands."""

import typer

from cli.tracker.evaluate import evaluate_command

tracker = typer.Typer(help="The chat tracker: one customer, one card.", no_args_is_help=True)
tracker.command("evaluate", help="Measure how well customers are known again.")(evaluate_command)

"""The commands of `openchannel tracker`."""

import typer

from cli.tracker.acting import block_command, detach_command, merge_command, undo_command
from cli.tracker.evaluate import evaluate_command
from cli.tracker.explaining import why_command
from cli.tracker.reviewing import review

tracker = typer.Typer(
    name="tracker", help="Why a chat is on a card, and what to do when it is wrong.", no_args_is_help=True
)
tracker.add_typer(review)
tracker.command("merge", help="Two cards are one customer's.")(merge_command)
tracker.command("undo", help="A merge was wrong: they are two customers, and stay apart.")(undo_command)
tracker.command("detach", help="A wrong number, or a wrong chat: off the card.")(detach_command)
tracker.command("block", help="Values that identify nobody, as the company's own numbers.")(block_command)
tracker.command("why", help="Everything known on a card: by whom, from which message, by which rule.")(why_command)
tracker.command("evaluate", help="Measure how well customers are known again.")(evaluate_command)

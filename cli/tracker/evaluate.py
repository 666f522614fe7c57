"""`openchannel tracker evaluate`: a world of customers goes through the real steps, and its cards are judged."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from cli.composition import database_options, on_this_machine
from cli.signals import endable
from cli.tracker.product import cards_of as product_cards_of
from cli.tracker.report import progress_of, report
from cli.tracker.server import temporary_server
from config.logging import configure_logging
from config.settings import Settings, SettingsError, load_settings
from crm_store.database import DatabaseOptions
from crm_store.scratch import scratch_database
from loadgen.evaluation.csv_file import FileMistakeError, read_messages, write_messages
from loadgen.evaluation.oracle import cards_of as right_cards_of
from loadgen.evaluation.said import Message
from loadgen.evaluation.verdict import Verdict, judge
from loadgen.evaluation.world import Sizes, make_world

CUSTOMERS = Sizes().customers


def evaluate_command(
    file: Annotated[
        Path | None,
        typer.Argument(
            dir_okay=False,
            help="CSV of messages: customer,channel,chat,sent_at,name,text,identity. Without it a world is generated.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed generates the same world.")] = 1,
    customers: Annotated[
        int, typer.Option(min=1, help="Customers of the generated world; each has 3 chats and 10 messages on average.")
    ] = CUSTOMERS,
    write: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Only write the messages to this CSV; nothing is evaluated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure how well customers are known again.

    The messages go through the product's own steps in a database of their own, which is dropped at the end. An oracle,
    written apart from the product, says which card each belongs on by docs/tracker.md. The exit code is 1 if a
    message is on another card (deviations), or customers share one that the rules keep apart (avoidable_over_merges).
    """
    messages = _messages(file, seed, customers)
    if write is not None:
        _write(write, messages)
        return
    settings = on_this_machine(load_settings())
    configure_logging(settings.log.format, "WARNING", "evaluate")
    verdict = _evaluate(settings, messages, Console(stderr=True))
    if as_json:
        sys.stdout.write(orjson.dumps(verdict.as_json(), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        Console().print(report(verdict))
    if not verdict.passed:
        raise typer.Exit(1)


def _messages(file: Path | None, seed: int, customers: int) -> list[Message]:
    if file is None:
        return make_world(seed, Sizes.of(customers))
    try:
        return read_messages(file)
    except FileMistakeError as error:
        raise SettingsError(str(error)) from error


def _write(path: Path, messages: Sequence[Message]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            write_messages(file, messages)
    except OSError as error:
        raise SettingsError(f"--write: {path} cannot be written: {error.strerror}") from error
    sys.stderr.write(f"{len(messages)} messages are in {path}\n")


def _evaluate(settings: Settings, messages: Sequence[Message], console: Console) -> Verdict:
    with progress_of(console, len(messages)) as progress:
        progress.phase("The oracle decides")
        right = right_cards_of(messages)
        progress.phase("A database is made")
        with _database(settings) as options:
            progress.phase("The product decides")
            product = product_cards_of(options, messages, progress.done)
        progress.phase("The cards are compared")
        return judge(messages, product, right)


@contextmanager
def _database(settings: Settings) -> Iterator[DatabaseOptions]:
    """An empty database on the configured server, or on one that is started for it."""
    with ExitStack() as stack:
        stack.enter_context(endable())
        if settings.database.url is None:
            options = DatabaseOptions(stack.enter_context(temporary_server()), "openchannel evaluate")
        else:
            options = database_options(settings, "evaluate")
        yield replace(options, url=stack.enter_context(scratch_database(options.url)))

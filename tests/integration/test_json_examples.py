"""What the documentation shows of `--json` is what the commands say: programs are written after it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crm_store import alerts
from tests.commands import CommandLine, command
from tests.integration.test_simulate import WITH_BOB, Book, book, found_of
from tests.pipeline import Desk, text_message
from worker.alert_watch import AlertThresholds, look_at_letters
from worker.alerting import body_of

pytestmark = pytest.mark.integration

__all__ = ["book", "command"]

DOCS = Path(__file__).parents[2] / "docs"
FREE = {"details", "passed_over", "not_named", "obstacles", "since"}
"""Mappings whose keys are values, and what is null where the log does not say it."""


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk without anything."""
    with Desk(database_url) as made:
        yield made


def examples(page: str) -> list[Any]:
    """The JSON of a page."""
    blocks = re.findall(r"```json\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    return [json.loads(block) for block in blocks]


def shape(found: Any) -> Any:
    """Names and kinds of the fields; of a list the first, as the others are like it."""
    match found:
        case dict():
            return {name: "free" if name in FREE else shape(value) for name, value in found.items()}
        case list():
            return [shape(found[0])] if found else []
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case _:
            return type(found).__name__


def test_an_alert(desk: Desk) -> None:
    """What a receiver is sent."""
    (example,) = [one for one in examples("operating.md") if "type" in one]
    (inbox_id,) = _accepted(desk)
    desk.execute(
        "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback) "
        "VALUES (%s, 1, 'bind_chat', 'key', 'KeyError@worker/steps/bind_chat.py:bind_chat', 3, '', '')",
        inbox_id,
    )
    with desk.session.transaction() as connection:
        look_at_letters(connection, AlertThresholds())
        (alert,) = alerts.lease(connection, 10, 60.0)
    sent = json.loads(body_of(alert))
    assert sent["text"] == example["text"]
    assert shape(sent) == shape(example)
    assert shape(sent["data"]) == shape(example["data"])


def _accepted(desk: Desk) -> list[int]:
    desk.open_channel("Shop", ["telegram"])
    return desk.accept(text_message("telegram", 7, "hello"))


def test_simulate(command: CommandLine, book: Book) -> None:
    """To the last figure, but without Bob and the note that always comes; `desk` whatever the file is called."""
    (example,) = examples("simulation.md")
    found = found_of(command, WITH_BOB)
    found["open_channels"][0]["operators"].pop()
    found["notes"].pop(0)
    assert found == example
    named = json.loads(command.done("simulate", command.file(WITH_BOB, "now.yaml"), "--from", found["from"],
                                    "--to", found["to"], "--json"))  # fmt: skip
    assert named["file"] == "now.yaml"
    assert named["open_channels"][0]["desk"] == example["open_channels"][0]["desk"]


def test_operators_dialogs_and_backlogs(desk: Desk, command: CommandLine) -> None:
    """The same fields of the same kinds, and no token."""
    operators, why, backlog, *_ = examples("operating.md")
    ann, ben = desk.operator("Ann"), desk.operator("Ben", online=False)
    desk.open_channel("Shop", ["telegram"], [ann, ben], max_dialogs=1)
    for chat in (7, 8):
        desk.run_through(text_message("telegram", chat, "hello", name="Dora"))
    for example, arguments in (
        (operators, ("operators", "list")),
        (why, ("dialogs", "why", "1")),
        (backlog, ("backlog", "show", "Shop")),
    ):
        assert shape(json.loads(command.done(*arguments, "--json"))) == shape(example), arguments
    waiting = json.loads(command.done("dialogs", "why", "2", "--json"))
    assert shape(waiting["backlog"]) == shape(backlog)

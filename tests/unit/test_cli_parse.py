"""The command that shows what an adapter reads out of bodies in files."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.parse import parse_command
from tests.contract.adapter_requests import TELEGRAM, WHATSAPP

pytestmark = pytest.mark.unit

app = typer.Typer()
app.command()(parse_command)


def run(kind: str, *files: Path) -> list[dict[str, object]]:
    result = CliRunner().invoke(app, [kind, *map(str, files)])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_event_is_a_line(tmp_path: Path) -> None:
    """The fields that identify and describe an event; a phone only where the message itself proves it."""
    body = tmp_path / "body.json"
    body.write_text(json.dumps(WHATSAPP.body))
    (line,) = run("whatsapp", body)
    assert line == {
        "file": str(body),
        "from_customer": True,
        "kind": "text",
        "account_id": "number-1",
        "chat_id": "79123456789",
        "customer_id": "79123456789",
        "message_id": "wamid.1",
        "text": "Hello",
        "phone": "+79123456789",
        "email": "",
        "name": "Anna",
        "sent_at": "2026-09-21T14:13:20+00:00",
    }


def test_what_cannot_be_read_does_not_stop_the_rest(tmp_path: Path) -> None:
    """A missing file and a broken body are lines with an error."""
    broken, good = tmp_path / "broken.json", tmp_path / "good.json"
    broken.write_text("{")
    good.write_text(json.dumps(TELEGRAM.body))
    lines = run("telegram", tmp_path / "missing.json", broken, good)
    assert ["error" in line for line in lines] == [True, True, False]


def test_a_form_is_read_as_one(tmp_path: Path) -> None:
    """`.form` is a URL-encoded body."""
    form = tmp_path / "body.form"
    form.write_text("email=a%40shop.de&message=Hi")
    (line,) = run("webform", form)
    assert (line["kind"], line["email"], line["text"]) == ("lead", "a@shop.de", "Hi")


def test_an_unknown_kind_is_an_error(tmp_path: Path) -> None:
    """It says which kinds there are, and exits with 2."""
    result = CliRunner().invoke(app, ["fax", str(tmp_path)])
    assert result.exit_code == 2
    assert "telegram" in result.stderr

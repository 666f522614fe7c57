"""`openchannel alerts test`, and the settings of alerts."""

import json
from collections.abc import Iterator

import pytest
from standardwebhooks.webhooks import Webhook

from tests.alert_receivers import SECRET, AlertReceiver, listening
from tests.commands import CommandLine

pytestmark = pytest.mark.integration


@pytest.fixture
def command(monkeypatch, capsys, tmp_path) -> CommandLine:
    """The command line; no database is needed."""
    made = CommandLine(monkeypatch, capsys, tmp_path, "postgresql://nobody@127.0.0.1:1/none")
    made.set("OPENCHANNEL_ALERTS__SECRET", SECRET)
    return made


@pytest.fixture
def receiver(command) -> Iterator[AlertReceiver]:
    """Somebody who is told."""
    with listening() as made:
        command.set("OPENCHANNEL_ALERTS__URL", made.url)
        yield made


def test_a_test_alert_is_sent_as_any_other(command, receiver):
    """Signed; the command says that it was taken."""
    ran = command("alerts", "test")
    assert ran.code == 0
    ((headers, body),) = receiver.calls
    assert Webhook(SECRET).verify(body, headers)["type"] == "test"
    assert headers["webhook-id"] in ran.output
    assert "HTTP 200" in ran.output


def test_it_says_what_the_receiver_answers(command, receiver):
    """A refusal, with the beginning of its body; without the URL, which may hold a token."""
    receiver.answers = [(403, b"no such\nhook"), (403, b"no such hook")]
    ran = command("alerts", "test")
    assert ran.code == 1
    assert "HTTP 403: no such hook" in ran.errors
    assert "hush" not in ran.errors
    ran = command("alerts", "test", "--json")
    assert ran.code == 1
    told = json.loads(ran.output)
    assert (told["taken"], told["status"], told["error"], told["body"]) == (False, 403, "HTTP 403", "no such hook")


def test_a_receiver_that_is_away_is_said_so(command):
    """No traceback."""
    command.set("OPENCHANNEL_ALERTS__URL", "http://127.0.0.1:1/")
    ran = command("alerts", "test")
    assert (ran.code, ran.output) == (1, "")
    assert "ConnectError" in ran.errors
    assert "Traceback" not in ran.errors


@pytest.mark.parametrize(
    ("url", "secret", "named"),
    [
        (None, SECRET, "OPENCHANNEL_ALERTS__URL"),
        ("ftp://127.0.0.1/", SECRET, "OPENCHANNEL_ALERTS__URL"),
        ("http://127.0.0.1/", None, "OPENCHANNEL_ALERTS__SECRET"),
        ("http://127.0.0.1/", "not base64!", "OPENCHANNEL_ALERTS__SECRET"),
    ],
)
def test_settings_that_cannot_be_used_are_named(command, url, secret, named):
    """Before anything is sent, and by the clock at its start."""
    command.set("OPENCHANNEL_ALERTS__URL", url)
    command.set("OPENCHANNEL_ALERTS__SECRET", secret)
    ran = command("alerts", "test")
    assert ran.code == 2
    assert ran.errors.startswith(named)
    assert "base64!" not in ran.errors
    if url is not None:
        ran = command("clock")
        assert ran.code == 2
        assert named in ran.errors

"""Commands while PostgreSQL is away, and with an address that is none: one line, and never the password."""

import pytest

from runtime.ports import free_port
from tests.commands import CommandLine, command

pytestmark = pytest.mark.integration

__all__ = ["command"]

PASSWORD = "pass-word-of-all"
COMMANDS = [
    ("apply", "desk.yaml"),
    ("export",),
    ("backlog", "show", "Shop"),
    ("channels", "list"),
    ("connect", "webform", "--key", "form", "--open-channel", "Shop"),
    ("customers", "export", "--card", "1"),
    ("dialogs", "list"),
    ("dialogs", "why", "1"),
    ("operators", "list"),
    ("operators", "online", "Ann"),
    ("simulate", "desk.yaml", "--from", "2026-03-01T00:00Z", "--to", "2026-03-02T00:00Z"),
    ("tracker", "why", "1"),
    ("tracker", "block", "@example.org", "--reason", "spam"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda given: " ".join(given[:2]))
def test_postgresql_away(command: CommandLine, arguments: tuple[str, ...]) -> None:
    """It says so in one line, and where to look; exit 1."""
    command.set("OPENCHANNEL_DATABASE__URL", f"postgresql://nobody:{PASSWORD}@127.0.0.1:{free_port()}/none")
    command.file("operators: [{name: Ann}]\n")
    ran = command(*arguments)
    assert (ran.code, ran.output) == (1, ""), ran
    assert ran.errors.count("\n") == 1, ran.errors
    assert "OPENCHANNEL_DATABASE__URL" in ran.errors
    assert "`openchannel doctor`" in ran.errors
    assert "Connection refused" in ran.errors, "why, as the driver tells it"
    assert PASSWORD not in ran.errors


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://nobody:{PASSWORD}",
        f"postgresql://nobody:{PASSWORD}/x@127.0.0.1:1/none",
        f"postgresql://nobody:12/{PASSWORD}@127.0.0.1:1/none",
        f"postgresql://nobody:x@{PASSWORD}@127.0.0.1:1/none",
        f"postgresql://nobody:{PASSWORD}%zz@127.0.0.1:1/none",
        f"http://nobody:{PASSWORD}@127.0.0.1:1/none",
        PASSWORD,
    ],
)
def test_an_address_that_is_none(command: CommandLine, url: str) -> None:
    """A mistake of configuration; the driver would have taken parts of the password for something else."""
    command.set("OPENCHANNEL_DATABASE__URL", url)
    for arguments in (("operators", "list"), ("dialogs", "list")):
        ran = command(*arguments)
        assert (ran.code, ran.output) == (2, ""), ran
        assert ran.errors.startswith("OPENCHANNEL_DATABASE__URL: cannot be read as postgresql://")
        assert PASSWORD not in ran.errors


def test_a_database_that_is_not_there(command: CommandLine, database_url: str) -> None:
    """The server's own words, in one line, as for a wrong password."""
    command.set("OPENCHANNEL_DATABASE__URL", f"{database_url}-that-is-not-there")
    ran = command("dialogs", "list")
    assert (ran.code, ran.errors.count("\n")) == (1, 1), ran
    assert "does not exist; OPENCHANNEL_DATABASE__URL says where it is" in ran.errors

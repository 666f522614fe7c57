"""`openchannel channels` and `openchannel operators` on real PostgreSQL; secrets are proved by the real adapters."""

import base64
import time
from datetime import UTC, datetime

import psycopg
import pytest

from crm_store import administration, desks, timers
from crm_store.database import DatabaseOptions, Session
from crm_store.secrets import SecretBox, SecretKeyError, hash_token
from ingest.adapters.base import SignatureError, WebhookRequest
from ingest.adapters.registry import adapter_for
from ingest.adapters.signatures import sign
from tests.commands import SECRET_KEY, CommandLine, command
from tracker.channels import Channel

pytestmark = pytest.mark.integration

__all__ = ["command"]

DESK = """\
operators: [{name: Ann, token: {env: TOKEN}}, {name: Bob}]
open_channels: [{name: Sales, roster: [Ann]}]
channels:
  - {key: bot, kind: telegram, open_channel: Sales, secrets: first-secret}
  - {key: hook, kind: custom, open_channel: Sales, secrets: whsec_Zmlyc3Qtc2VjcmV0LW9mLXRoZS1ob29r}
  - {key: wa, kind: whatsapp, open_channel: Sales, secrets: app-secret}
"""
TOKEN = "token-of-ann-that-is-long-enough"


@pytest.fixture
def desk(command: CommandLine) -> CommandLine:
    """Commands on a desk with three channels and two operators."""
    command.set("TOKEN", TOKEN)
    command.done("apply", command.file(DESK))
    return command


def channel(database_url: str, key: str) -> Channel:
    """A channel as the web process has it."""
    session = Session(DatabaseOptions(database_url, "test"))
    with session.transaction() as connection:
        found = desks.read_channels(connection, SecretBox(SECRET_KEY))
    session.close()
    return next(one for one in found if one.key == key)


def sealed(database_url: str, key: str) -> bytes:
    """A channel's secrets as they are at rest."""
    with psycopg.connect(database_url) as connection:
        return administration.read(connection).channels[key].sealed


def proved(channel: Channel, secret: str) -> bool:
    """Whether the real adapter takes a webhook that is signed with this secret."""
    now, body = datetime.now(UTC), b'{"update_id": 1}'
    headers = {"content-type": "application/json"}
    if channel.kind == "telegram":
        headers["x-telegram-bot-api-secret-token"] = secret
    else:
        at = int(time.time())
        signature = sign(secret, "message", at, body)
        headers |= {"webhook-id": "message", "webhook-timestamp": str(at), "webhook-signature": signature}
    try:
        adapter_for(channel.kind).verify(WebhookRequest("POST", "", headers, {}, body, now), channel)
    except SignatureError:
        return False
    return True


@pytest.mark.parametrize(("key", "old"), [("bot", "first-secret"), ("hook", "whsec_Zmlyc3Qtc2VjcmV0LW9mLXRoZS1ob29r")])
def test_two_secrets_are_valid_while_one_is_rotated(desk, database_url, key, old):
    """The new one at once, the old one until --finish; a second rotation waits for the end of the first."""
    said = desk.done("channels", "rotate-secret", key)
    rotating = channel(database_url, key)
    new = rotating.secrets[0]
    assert new in said
    assert old not in said
    assert rotating.secrets == (new, old)
    assert proved(rotating, new)
    assert proved(rotating, old)
    assert not proved(rotating, new[:-2])
    assert "rotating" in next(line for line in desk.done("channels", "list").splitlines() if line.startswith(key))
    again = desk("channels", "rotate-secret", key)
    assert (again.code, again.errors) == (1, f"{key}: a rotation is under way; end it first, with --finish\n")

    assert "only the new secret is valid" in desk.done("channels", "rotate-secret", key, "--finish")
    finished = channel(database_url, key)
    assert proved(finished, new)
    assert not proved(finished, old)
    assert "nothing to finish" in desk.done("channels", "rotate-secret", key, "--finish")
    assert channel(database_url, key).secrets == (new,)


def test_a_secret_of_the_providers_has_to_be_named(desk, database_url):
    """It is read from the environment, and never shown."""
    refused = desk("channels", "rotate-secret", "wa")
    assert "name it with --secret-env" in refused.errors
    assert "not set, or empty" in desk("channels", "rotate-secret", "wa", "--secret-env", "NOPE").errors
    desk.set("NEW_APP_SECRET", "new-app-secret")
    assert "new-app-secret" not in desk.done("channels", "rotate-secret", "wa", "--secret-env", "NEW_APP_SECRET")
    assert channel(database_url, "wa").secrets == ("new-app-secret", "app-secret")
    assert "takes no new secret" in desk("channels", "rotate-secret", "wa", "--finish", "--secret-env", "X").errors


def test_a_secret_that_cannot_be_one_is_refused(desk, database_url):
    """Nothing is changed."""
    desk.set("NEW", "white space")
    assert "bot: Telegram takes" in desk("channels", "rotate-secret", "bot", "--secret-env", "NEW").errors
    desk.set("NEW", "first-secret")
    assert "that is the secret which it has" in desk("channels", "rotate-secret", "bot", "--secret-env", "NEW").errors
    assert channel(database_url, "bot").secrets == ("first-secret",)


def test_no_list_shows_a_secret(desk):
    """Neither channels' nor operators'."""
    listed = desk.done("channels", "list") + desk.done("operators", "list")
    for word in ("bot", "telegram", "Sales", "active", "Ann", "offline"):
        assert word in listed
    for secret in ("first-secret", "whsec_", "app-secret", TOKEN):
        assert secret not in listed


def test_a_channel_is_disabled_and_enabled(desk, database_url):
    """An unknown one is told with the nearest that there is."""
    assert desk.done("channels", "disable", "bot") == "bot is disabled within seconds\n"
    assert not channel(database_url, "bot").active
    assert desk.done("channels", "disable", "bot") == "bot is disabled already\n"
    assert desk.done("channels", "enable", "bot") == "bot is active within seconds\n"
    assert channel(database_url, "bot").active
    assert desk("channels", "disable", "bott").errors == 'there is no channel "bott"; did you mean "bot"?\n'


def test_secrets_are_rewritten_with_the_first_key(desk, database_url):
    """After that the old key is needed for nothing but hashes."""
    new = base64.urlsafe_b64encode(b"n" * 32).decode()
    desk.set("OPENCHANNEL_SECRET_KEY", f"{new},{SECRET_KEY}")
    with pytest.raises(SecretKeyError):
        SecretBox(new).open(sealed(database_url, "bot"))
    assert desk.done("channels", "reencrypt") == "3 rewritten with the first key\n"
    assert SecretBox(new).open(sealed(database_url, "bot")) == ("first-secret",)
    assert desk.done("channels", "reencrypt") == "0 rewritten with the first key\n"


def test_secrets_that_no_key_opens_are_named(desk):
    """The others are rewritten all the same."""
    desk.set("OPENCHANNEL_SECRET_KEY", base64.urlsafe_b64encode(b"x" * 32).decode())
    ran = desk("channels", "reencrypt")
    assert ran.code == 1
    assert "none of the keys opens the secrets of bot, hook, wa" in ran.errors
    assert desk.done("channels", "list").count("unreadable") == 3


def test_an_operator_comes_and_goes(desk, database_url):
    """D6, D8: what waits for him is tried."""
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM timers")
    assert "Ann is online" in desk.done("operators", "online", "Ann")
    with psycopg.connect(database_url) as connection:
        assert timers.due_backlogs(connection, 5) == [1]
    assert desk.done("operators", "list").splitlines()[1].split()[:3] == ["Ann", "operator", "available"]
    assert desk.done("operators", "away", "Ann") == "Ann is away\n"
    assert desk.done("operators", "list").splitlines()[1].split()[:3] == ["Ann", "operator", "away"]
    assert desk.done("operators", "offline", "Ann") == "Ann is offline\n"
    assert "offline" in desk.done("operators", "list").splitlines()[1]
    assert desk("operators", "online", "Anne").errors == 'there is no operator "Anne"; did you mean "Ann"?\n'


def hold(database_url: str, operator: str, *statuses: str) -> None:
    """Past the product: an operator has dialogs of these statuses in the first open channel."""
    with psycopg.connect(database_url) as connection:
        for number, status in enumerate(statuses):
            connection.execute(
                """
                WITH chat AS (
                    INSERT INTO chats (channel_id, external_id, customer_id)
                    SELECT min(id), %(chat)s, %(chat)s FROM channels RETURNING id
                )
                INSERT INTO dialogs (open_channel_id, chat_id, status, operator_id)
                SELECT 1, chat.id, %(status)s, operators.id FROM chat, operators WHERE name = %(operator)s
                """,
                {"chat": f"{operator} {number}", "status": status, "operator": operator},
            )


def statuses(database_url: str) -> list[tuple[str, int | None]]:
    """Status and holder of all dialogs."""
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT status::text, operator_id FROM dialogs ORDER BY id").fetchall()


def test_a_workday_is_turned(desk, database_url):
    """D6, D11: where time is tracked, which the desk's file says; its end hands back what is not answered."""
    assert "`time_tracking: true` in a desk's file" in desk("operators", "workday", "Ann", "start").errors
    desk.done("apply", desk.file("operators: [{name: Ann, time_tracking: true}]\n"))
    assert "your workday has not started" in desk("operators", "workday", "Ann", "pause").errors
    assert desk.done("operators", "workday", "Ann", "start") == "Ann may be given dialogs\n"
    hold(database_url, "Ann", "assigned", "awaiting_customer")
    assert desk.done("operators", "workday", "Ann", "pause") == "Ann has paused the workday\n"
    said = desk.done("operators", "workday", "Ann", "end")
    assert said == "Ann has no workday now; 1 dialog goes back to the backlog\n"
    assert statuses(database_url) == [("queued", None), ("awaiting_customer", 1)]
    assert desk("operators", "workday", "Ann", "stop").code == 2
    with psycopg.connect(database_url) as connection:
        actors = connection.execute("SELECT DISTINCT actor LIKE 'cli:%' FROM audit").fetchall()
    assert actors == [(True,)], "who sat at the command line, not the operator"


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (1, ("operators", "online", "Anne")),
        (1, ("operators", "dismiss", "Anne")),
        (1, ("operators", "workday", "Ann", "start")),
        (1, ("operators", "leave", "Ann", "--from", "2000-01-01T00:00Z", "--until", "2000-01-02")),
        (1, ("channels", "disable", "bott")),
        (2, ("operators", "leave", "Ann", "--until", "soon")),
        (2, ("operators", "workday", "Ann", "stop")),
        (2, ("operators", "online")),
    ],
)
def test_exit_codes(desk, code, arguments):
    """1: refused, or not there. 2: wrongly used. No traceback, and nothing on the standard output."""
    ran = desk(*arguments)
    assert (ran.code, ran.output) == (code, ""), ran
    assert ran.errors


def test_leave_is_given(desk, database_url):
    """D6, D11: from now on if nothing else is said."""
    hold(database_url, "Bob", "assigned", "accepted")
    said = desk.done("operators", "leave", "Bob", "--until", "2099-01-01T00:00+00:00")
    assert said.endswith(" to 2099-01-01 00:00 UTC; 2 dialogs go back to the backlog\n")
    assert desk.done("operators", "list").splitlines()[2].split()[:3] == ["Bob", "operator", "on_leave"]
    later = desk.done("operators", "leave", "Ann", "--from", "2098-01-01", "--until", "2099-01-01")
    assert later.startswith("Ann is on leave from 209")
    assert desk.done("operators", "list").splitlines()[1].split()[2] == "offline"
    assert "--until must be after --from" in desk("operators", "leave", "Ann", "--until", "2001-01-01").errors
    assert "--until: 'soon' is no time" in desk("operators", "leave", "Ann", "--until", "soon").errors
    assert desk("operators", "leave", "Ann").code == 2


def test_a_time_without_a_zone_is_read_as_utc(desk, monkeypatch):
    """As `simulate` reads it, wherever the machine stands; and it is said."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        ran = desk("operators", "leave", "Ann", "--from", "2098-01-01T09:00", "--until", "2099-01-01T09:00+09:00")
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert ran.output == "Ann is on leave from 2098-01-01 09:00 to 2099-01-01 00:00 UTC\n"
    assert ran.errors == "--from: 2098-01-01T09:00 has no time zone and is read as UTC\n"


def test_a_dismissed_operators_dialogs_go_back(desk, database_url):
    """D11: by the command and by a desk's file; it is said how many."""
    hold(database_url, "Ann", "assigned", "accepted", "awaiting_customer")
    hold(database_url, "Bob", "awaiting_customer")
    said = desk.done("operators", "dismiss", "Ann")
    assert said == "Ann is dismissed, and his token stops working; 3 dialogs go back to the backlog\n"
    desk.done("apply", desk.file("operators: [{name: Bob, dismissed: true}]\n"))
    assert statuses(database_url) == [("queued", None)] * 4


def test_a_dismissed_operators_token_stops_working(desk, database_url):
    """D6; he does not come online any more, and a file takes him back with another token."""
    assert "his token stops working" in desk.done("operators", "dismiss", "Ann")
    with psycopg.connect(database_url) as connection:
        assert desks.operator_by_token(connection, hash_token(TOKEN)) is None
        assert [row.dismissed for row in desks.read_rosters(connection, [1])[1]] == [True]
    assert "was dismissed; `dismissed: false`" in desk("operators", "online", "Ann").errors
    assert desk.done("operators", "dismiss", "Ann") == "Ann is dismissed already\n"
    said = desk.done("apply", desk.file("operators: [{name: Ann, dismissed: false}]\n"))
    assert "operator Ann: token" in said
    assert "Ann is online" in desk.done("operators", "online", "Ann")

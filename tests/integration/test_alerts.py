"""Alerts: what is told, that each thing is told once, and that it reaches its receiver or is known not to have."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from crm_store import alerts
from crm_store.alerts import AlertKind
from crm_store.database import Session
from tests.alert_receivers import SECRET, AlertReceiver, listening
from tests.pipeline import Desk, RecordingHints, text_message
from tests.processes import wait_for
from worker import alerting
from worker.alert_watch import AlertThresholds, look_at_letters
from worker.alerting import AlertSender, Receiver
from worker.clock import Clock, ClockOptions

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """An open channel with one channel."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram"])
        yield made


@pytest.fixture
def receiver() -> Iterator[AlertReceiver]:
    """Somebody who is told."""
    with listening() as made:
        yield made


@pytest.fixture
def sender(desk: Desk, receiver: AlertReceiver) -> Iterator[AlertSender]:
    """Who tells him."""
    session = Session(desk.options)
    yield AlertSender(session, Receiver(receiver.url, SECRET))
    session.close()


def dies(desk: Desk, *, fingerprint: str = "KeyError@worker/x.py:y", letters: int = 1, ago: float = 0.0) -> None:
    """Letters of one cause."""
    for inbox_id in desk.accept(*(text_message("telegram", 1, "my secret wish") for _ in range(letters))):
        desk.execute(
            "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback, "
            "died_at) VALUES (%s, 1, 'bind_chat', 'key', %s, 3, 'my secret wish', '', now() - %s * interval '1 s')",
            inbox_id,
            fingerprint,
            ago,
        )


def look(desk: Desk, rate: int = 1000, every: float = 600.0) -> None:
    with desk.session.transaction() as connection:
        look_at_letters(connection, AlertThresholds(rate, every))


def raised(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    return desk.rows("SELECT kind, details FROM alerts ORDER BY id")


def raise_one(desk: Desk, subject: str = "something") -> None:
    with desk.session.transaction() as connection:
        alerts.raise_alert(connection, AlertKind.REPLAY_BRAKED, subject, {"replay": 7})


def due(desk: Desk, *, seconds: float = 0.0) -> None:
    """Time passes, for alerts."""
    desk.execute(
        "UPDATE alerts SET due_at = now() - interval '1 s', at = at - given.passed, "
        "first_tried_at = first_tried_at - given.passed FROM (SELECT %s * interval '1 second' AS passed) AS given",
        seconds,
    )


# What is told


def test_a_new_cause_is_told_once(desk):
    """With step, reason, fingerprint, how many, and one to look at; further letters of it are not told."""
    look(desk)
    assert raised(desk) == []
    dies(desk, letters=3)
    look(desk)
    example = desk.value("SELECT max(id) FROM dead_letters")
    assert raised(desk) == [
        (
            "dead_letters.new_group",
            {
                "step": "bind_chat",
                "reason": "key",
                "fingerprint": "KeyError@worker/x.py:y",
                "letters": 3,
                "letter_id": example,
            },
        )
    ]
    dies(desk)
    look(desk)
    look(desk)
    assert len(raised(desk)) == 1
    dies(desk, fingerprint="ValueError@worker/x.py:y")
    look(desk)
    assert [details["fingerprint"] for _, details in raised(desk)][1:] == ["ValueError@worker/x.py:y"]
    assert desk.value("SELECT count(*) FROM alerts WHERE alerts::text ~ 'secret'") == 0, "nothing of a customer's"


def test_a_cause_of_more_than_a_week_ago_is_new_again(desk):
    """Seen within seven days it is known; what goes on dying stays known."""
    dies(desk)
    look(desk)
    for days, told in ((6, 1), (8, 2)):
        desk.execute("UPDATE dead_letter_groups SET last_seen_at = now() - %s * interval '1 day'", days)
        dies(desk)
        look(desk)
        assert len(raised(desk)) == told
        assert desk.value("SELECT last_seen_at > now() - interval '1 minute' FROM dead_letter_groups")


def test_what_died_while_no_clock_ran_is_told_by_the_next(desk):
    """And what committed late, after the look that should have seen it."""
    look(desk)
    desk.execute("UPDATE alert_watch SET looked_at = now() - interval '3 hours'")
    dies(desk, ago=7200)
    look(desk)
    assert len(raised(desk)) == 1
    dies(desk, fingerprint="late", ago=60)
    look(desk)
    assert len(raised(desk)) == 2


def test_many_at_once_are_told_at_most_every_so_often(desk):
    """From the threshold on; then not again before its time."""
    dies(desk, letters=5)
    look(desk, rate=6)
    look(desk, rate=5)
    look(desk, rate=5)
    rates = [details for kind, details in raised(desk) if kind == "dead_letters.rate"]
    assert rates == [{"letters": 5, "threshold": 5}]
    desk.execute("UPDATE alert_watch SET rate_alerted_at = now() - interval '601 s'")
    look(desk, rate=5)
    assert [kind for kind, _ in raised(desk)].count("dead_letters.rate") == 2


def test_any_number_of_clocks_tells_it_once(desk):
    """They look at the same letters at the same moment."""
    dies(desk, letters=10)
    sessions = [Session(desk.options) for _ in range(6)]
    together = threading.Barrier(len(sessions))

    def tick(session: Session) -> None:
        clock = Clock(session, RecordingHints(), ClockOptions(alerts=AlertThresholds(rate=10)))
        together.wait(60)
        clock.tick()
        clock.tick()

    with ThreadPoolExecutor(len(sessions)) as pool:
        list(pool.map(tick, sessions))
    for session in sessions:
        session.close()
    assert sorted(kind for kind, _ in raised(desk)) == ["dead_letters.new_group", "dead_letters.rate"]


def test_what_is_rolled_back_is_not_told(desk):
    """An alert is part of the transaction that finds the thing."""
    with desk.session.connection() as connection, connection.transaction(force_rollback=True):
        alerts.raise_alert(connection, AlertKind.STEP_PAUSED, "x", {})
    assert raised(desk) == []


# How it is sent


def test_an_alert_is_signed_and_says_what_it_is(desk, receiver, sender):
    """Standard Webhooks; `text` is for people."""
    raise_one(desk)
    assert sender.send_due() == 1
    ((headers, body),) = receiver.calls
    assert Webhook(SECRET).verify(body, headers)["type"] == "replay.braked"
    (told,) = receiver.told()
    assert (told["data"], told["text"]) == ({"replay": 7}, "openchannel: something")
    assert headers["webhook-id"] == str(desk.value("SELECT message_id FROM alerts"))
    assert desk.rows("SELECT state, attempts, error FROM alerts") == [("sent", 1, "")]
    assert sender.send_due() == 0


def test_it_is_tried_again_with_the_same_id(desk, receiver, sender):
    """With backoff, whatever the receiver says: he may be mended within the hour."""
    raise_one(desk)
    receiver.answers = [(500, b""), (404, b""), (302, b"")]
    for _ in range(4):
        sender.send_due()
        sender.send_due()  # not before its time
        due(desk)
    assert len(receiver.calls) == 4
    assert len(set(receiver.ids())) == 1
    assert desk.rows("SELECT state, attempts FROM alerts") == [("sent", 4)]


def test_after_an_hour_it_is_given_up_and_known(desk, receiver, sender):
    """Logged at error level, and counted as failed."""
    raise_one(desk)
    receiver.answers = [(500, b"")] * 2
    sender.send_due()
    assert desk.value("SELECT state FROM alerts") == "waiting"
    due(desk, seconds=3601)
    with capture_logs() as logs:
        sender.send_due()
    assert desk.rows("SELECT state, error FROM alerts") == [("failed", "HTTP 500")]
    assert [(line["event"], line["log_level"]) for line in logs] == [("alert_failed", "error")]
    assert "hush" not in str(logs), "the URL may hold a token"


def test_the_hour_begins_with_the_first_try(desk, receiver, sender):
    """What was raised while no clock ran is not given up because its receiver refuses it once."""
    raise_one(desk)
    due(desk, seconds=7200)
    receiver.answers = [(500, b"")]
    sender.send_due()
    assert desk.value("SELECT state FROM alerts") == "waiting"
    due(desk)
    sender.send_due()
    assert desk.value("SELECT state FROM alerts") == "sent"


def test_a_receiver_that_is_not_there_or_never_answers_is_tried_again(desk, receiver, sender, monkeypatch):
    """Each call ends in its time."""
    raise_one(desk)
    session = Session(desk.options)
    AlertSender(session, Receiver("http://127.0.0.1:1/", SECRET)).send_due()
    assert desk.rows("SELECT state, error FROM alerts") == [("waiting", "ConnectError")]
    monkeypatch.setattr(alerting, "TIMEOUT", 0.0)
    due(desk)
    AlertSender(session, Receiver(receiver.url, SECRET)).send_due()
    assert desk.rows("SELECT state, error FROM alerts") == [("waiting", "timeout")]
    session.close()


def test_two_clocks_send_each_alert_once(desk, receiver):
    """Each is leased by one of them; a clock that died with a lease is made up for when it is over."""
    for n in range(12):
        raise_one(desk, str(n))
    sessions = [Session(desk.options) for _ in range(2)]

    def send_all(session: Session) -> None:
        while AlertSender(session, Receiver(receiver.url, SECRET)).send_due():
            pass

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send_all, sessions))
    assert len(set(receiver.ids())) == len(receiver.calls) == 12
    raise_one(desk, "leased")
    with desk.session.transaction() as connection:
        (leased,) = alerts.lease(connection, 10, 60.0)
    send_all(sessions[0])
    assert len(receiver.calls) == 12
    due(desk)
    send_all(sessions[0])
    assert receiver.ids()[12:] == [leased.message_id]
    with desk.session.transaction() as connection:
        alerts.retry(connection, leased, leased.now, "late")
    assert desk.value("SELECT count(*) FROM alerts WHERE state <> 'sent'") == 0, "its lease was lost"
    for session in sessions:
        session.close()


def test_without_a_receiver_alerts_are_logged(desk):
    """At error level, with all that they say; and not again."""
    raise_one(desk)
    session = Session(desk.options)
    with capture_logs() as logs:
        AlertSender(session, None).send_due()
        AlertSender(session, None).send_due()
    session.close()
    assert [(line["event"], line["log_level"], line["kind"], line["subject"], line["details"]) for line in logs] == [
        ("alert", "error", "replay.braked", "something", {"replay": 7})
    ]
    assert desk.value("SELECT state FROM alerts") == "logged"


def test_the_thread_sends_until_it_is_stopped(desk, receiver, sender, monkeypatch):
    """It outlives PostgreSQL being away, and whatever else goes wrong."""
    monkeypatch.setattr(alerting, "LOOK_INTERVAL", 0.01)
    raise_one(desk)
    stop, failed = threading.Event(), threading.Event()
    send_due = sender.send_due

    def first_fails():
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        return send_due()

    monkeypatch.setattr(sender, "send_due", first_fails)
    thread = threading.Thread(target=sender.run, args=(stop,))
    thread.start()
    assert wait_for(lambda: desk.value("SELECT state FROM alerts") == "sent", 60)
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def test_old_alerts_go(desk):
    """After a month."""
    raise_one(desk)
    desk.execute("UPDATE alerts SET at = now() - interval '31 days'")
    raise_one(desk)
    look(desk)
    assert desk.value("SELECT count(*) FROM alerts") == 1


# Deaths


def test_deaths_are_counted_for_ever(desk):
    """A further death of a letter counts; its deletion takes none away, and folding changes no sum."""
    dies(desk, letters=3)
    desk.execute(
        "UPDATE dead_letters SET deaths = deaths + 1, reason = 'other' WHERE id = (SELECT min(id) FROM dead_letters)"
    )
    desk.execute("UPDATE dead_letters SET error = ''")
    desk.execute("DELETE FROM dead_letters")
    counted = "SELECT reason, sum(n)::int FROM deaths GROUP BY reason ORDER BY reason"
    assert desk.rows(counted) == [("key", 3), ("other", 1)]
    session = Session(desk.options)
    clock = Clock(session, RecordingHints(), ClockOptions())
    clock._next_fold = 0.0
    clock.tick()
    session.close()
    assert desk.rows(counted) == [("key", 3), ("other", 1)]
    assert desk.value("SELECT count(*) FROM deaths") == 2

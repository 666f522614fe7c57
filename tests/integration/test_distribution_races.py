"""Dialogs raced for: acts, clocks, workers, and operators who leave, all at the same moment (D4-D8, D11, D13, S1-S5).

What holds at any moment is in `tests.dialog_invariants`.
"""

import heapq
import itertools
import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from config.topology import INBOX_STEPS, Step
from console import presence
from console.security import Caller, Operator
from console.transfers import Target
from crm_store import desks, dialogs, returning, timers
from crm_store.database import Connection, DatabaseOptions, Session
from crm_store.desks import RosterMember
from crm_store.dialogs import LockedDialog
from tests.dialog_invariants import check
from tests.distribution_racers import (
    DONE,
    SERVICE,
    Console,
    asked,
    at_once,
    clocks_at_once,
    distribute_and_stop,
    enrol,
    is_stopped,
    operator,
    outcome,
    watched,
)
from tests.pipeline import Desk, Worker, drain, text_message
from tests.processes import wait_for
from tracker.access import Role
from tracker.presence import Workday
from worker.presence_watch import PresenceWatch
from worker.timers import work_off

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROUNDS = int(os.environ.get("OPENCHANNEL_TEST_RACE_ROUNDS", "20"))
"""How often everything is raced against everything."""

DIALOGS = int(os.environ.get("OPENCHANNEL_TEST_RACE_DIALOGS", "500"))
"""How many dialogs the long races distribute; 10,000 is what the rules promise, and takes minutes."""


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A database; after the test everything holds that always holds."""
    with Desk(database_url) as made:
        yield made
        check(made)


@pytest.fixture
def console(desk: Desk) -> Iterator[Console]:
    """For up to 50 callers at once."""
    with Console(desk.url, 50) as made:
        yield made


def operators(desk: Desk, n: int, *, personal_limit: int | None = None, name: str = "operator") -> list[int]:
    """Who are there, however long it takes."""
    made = [enrol(desk, desk.operator(f"{name}-{k}", personal_limit=personal_limit)) for k in range(n)]
    desk.execute("UPDATE operators SET seen_at = now() + interval '1 day' WHERE id = ANY(%s)", made)
    return made


def write(desk: Desk, *chats: int | str, key: str = "telegram", worker: Worker | None = None) -> list[int]:
    """Each of these customers writes; returns the dialogs."""
    inbox_ids = desk.run_through(*(text_message(key, chat, "hello") for chat in chats), worker=worker)
    found = "SELECT dialog_id FROM inbox_state WHERE inbox_id = ANY(%s) ORDER BY inbox_id"
    return [dialog_id for (dialog_id,) in desk.rows(found, inbox_ids)]


def holder(desk: Desk, dialog_id: int) -> int | None:
    found: int | None = desk.value("SELECT operator_id FROM dialogs WHERE id = %s", dialog_id)
    return found


def causes(desk: Desk, *wanted: str) -> Counter[str]:
    return Counter(dict(desk.rows("SELECT cause, count(*) FROM events WHERE cause = ANY(%s) GROUP BY 1", list(wanted))))


# Accepting


def test_fifty_accept_one_offer_at_once(desk: Desk, console: Console) -> None:
    """D4: one of fifty has it, and forty-nine are told that it is taken; again and again."""
    everybody = operators(desk, 50)
    desk.open_channel("desk", ["telegram"], everybody, distribution="all")
    for dialog_id in write(desk, *range(4)):
        came = at_once([partial(console.accept, who, dialog_id) for who in everybody])
        assert Counter(came) == {DONE: 1, "taken": 49}
        assert holder(desk, dialog_id) == everybody[came.index(DONE)]
    assert causes(desk, "accept") == {"accept": 4}, "S1: one change, one event"


def test_who_accepts_two_offers_at_once_gets_one_under_a_personal_limit_of_one(desk: Desk, console: Console) -> None:
    """D4, D7: in two open channels; each of the two dialogs goes to somebody else."""
    everybody = operators(desk, 25, personal_limit=1)
    desk.open_channel("one", ["telegram"], everybody, distribution="all")
    desk.open_channel("two", ["custom"], everybody, distribution="all")
    for n in range(4):
        both = [*write(desk, n), *write(desk, n, key="custom")]
        came = at_once([partial(console.accept, who, dialog_id) for who in everybody for dialog_id in both])
        assert Counter(came)[DONE] == 2
        assert set(came) <= {DONE, "taken", "at_personal_limit"}
        assert len({holder(desk, dialog_id) for dialog_id in both}) == 2
        check(desk)
        for dialog_id in both:
            assert console.close(SERVICE, dialog_id) == DONE


def test_fifty_accept_twenty_dialogs_under_limits(desk: Desk, console: Console) -> None:
    """D4, D7: ten per open channel; at most one each there, half of them one over all; all find somebody."""
    everybody = operators(desk, 25) + operators(desk, 25, personal_limit=1, name="limited")
    for name, key in (("one", "telegram"), ("two", "custom")):
        desk.open_channel(name, [key], everybody, distribution="all", max_dialogs=1)
    offered = write(desk, *range(10)) + write(desk, *range(10), key="custom")
    chance = random.Random(1)
    orders = [chance.sample(offered, 20) for _ in everybody]

    def accept_all(who: int, order: list[int]) -> list[str]:
        return [console.accept(who, dialog_id) for dialog_id in order]

    with watched(desk.url):
        came = at_once([partial(accept_all, who, order) for who, order in zip(everybody, orders, strict=True)])
    reasons = Counter(itertools.chain(*came))
    assert reasons[DONE] == 20
    assert set(reasons) <= {DONE, "taken", "already_yours", "at_limit", "at_personal_limit"}
    assert desk.value("SELECT count(*) FROM dialogs WHERE status = 'accepted'") == 20


def test_one_slot_is_not_filled_by_an_accept_and_a_plan_at_once(desk: Desk, console: Console) -> None:
    """D7: a personal limit of one; he accepts in two open channels at once, or in one while another gives him one."""
    (who,) = operators(desk, 1, personal_limit=1)
    for name, key, distribution in (("one", "telegram", "all"), ("two", "custom", "all"), ("three", "viber", "evenly")):
        desk.open_channel(name, [key], [who], distribution=distribution)
    worker, chance = desk.worker(), random.Random(3)
    for n in range(16):
        offered = write(desk, n, worker=worker) + write(desk, n, key="custom", worker=worker)
        desk.accept(text_message("viber", n, "hello"))
        drain(desk, worker, INBOX_STEPS[: INBOX_STEPS.index(Step.DISTRIBUTE)])
        acts: list[Callable[[], object]] = [partial(console.accept, who, dialog_id) for dialog_id in offered]
        if n % 2:
            acts = [acts[0], partial(_run_steps, worker)]
        came = at_once(acts, chance)
        _run_steps(worker)
        assert desk.value("SELECT count(*) FROM dialogs WHERE operator_id = %s AND status <> 'closed'", who) == 1
        assert set(came) <= {DONE, "at_personal_limit", ""}
        for (dialog_id,) in desk.rows(
            "SELECT id FROM dialogs WHERE status <> 'closed' ORDER BY operator_id NULLS FIRST"
        ):
            assert console.close(SERVICE, dialog_id) == DONE


# Accepting against the clock


def test_accept_against_hand_over(desk: Desk, console: Console) -> None:
    """D5: exactly one of them wins, whoever comes first; who accepts too late is told that it is taken."""
    everybody = operators(desk, 3)
    desk.open_channel("desk", ["telegram"], everybody)
    sessions = [Session(desk.options) for _ in range(2)]
    chance, came = random.Random(2), Counter[str]()
    for n in range(45):
        (dialog_id,) = write(desk, n)
        mine = holder(desk, dialog_id)
        assert mine is not None
        desk.execute("UPDATE timers SET due_at = now() - interval '1 second' WHERE dialog_id = %s", dialog_id)
        clocks: list[Callable[[], object]] = [partial(work_off, session) for session in sessions]
        accept = partial(console.accept, mine, dialog_id)
        match n % 3:
            case 0:
                accepted = accept()
                at_once(clocks)
            case 1:
                at_once(clocks)
                accepted = accept()
            case _:
                everything: list[Callable[[], object]] = [*clocks, accept]
                accepted = str(at_once(everything, chance)[-1])
        handed = desk.value("SELECT count(*) FROM events WHERE dialog_id = %s AND cause = 'handover'", dialog_id)
        assert (accepted, handed) in ((DONE, 0), ("taken", 1))
        assert (holder(desk, dialog_id) == mine) is (accepted == DONE)
        came[accepted] += 1
        assert console.close(SERVICE, dialog_id) == DONE
    assert came[DONE] >= 15
    assert came["taken"] >= 15
    for session in sessions:
        session.close()


def test_a_clock_that_was_set_anew_does_not_go_off(desk: Desk, console: Console) -> None:
    """D5: between the clock's look and its locks the dialog has changed hands: the new holder has the whole time."""
    desk.open_channel("desk", ["telegram"], operators(desk, 2))
    worker_session = Session(desk.options)
    for n in range(10):
        (dialog_id,) = write(desk, n)
        mine = holder(desk, dialog_id)
        desk.execute("UPDATE timers SET due_at = now() - interval '1 second' WHERE dialog_id = %s", dialog_id)
        with ThreadPoolExecutor(1) as pool:
            with desk.session.transaction() as connection:
                desks.lock_open_channels(connection, [1])  # the clock has looked, and waits
                waiting = pool.submit(work_off, worker_session)
                assert wait_for(lambda: desk.blocked_sessions() > 0)
                connection.execute("SELECT FROM dialogs WHERE id = %s FOR NO KEY UPDATE", [dialog_id])
                connection.execute(
                    "UPDATE timers SET due_at = now() + interval '1 minute', generation = generation + 1 "
                    "WHERE dialog_id = %s",
                    [dialog_id],
                )
            waiting.result(20)
        assert holder(desk, dialog_id) == mine
        assert console.close(SERVICE, dialog_id) == DONE
    worker_session.close()
    assert causes(desk, "handover", "kept") == {}


def test_a_clock_that_has_gone_off_already_does_not_go_off_again(desk: Desk) -> None:
    """D5: between the second clock's look and its locks the first hands the dialog over, and its clock begins anew."""
    desk.open_channel("desk", ["telegram"], operators(desk, 3))
    (dialog_id,) = write(desk, 1)
    desk.execute("UPDATE timers SET due_at = now() - interval '1 second' WHERE dialog_id = %s", dialog_id)
    first, late = Session(desk.options), Session(desk.options)
    with late.transaction() as connection:
        seen = timers.due_clocks(connection, 10)
    work_off(first)
    given_to = holder(desk, dialog_id)
    with late.transaction() as connection:
        dialogs.lock(connection, dialog_id)
        assert timers.still_due(connection, seen) == set()
    assert (holder(desk, dialog_id), causes(desk, "handover")) == (given_to, {"handover": 1})
    for session in (first, late):
        session.close()


# Everything against everything

REFUSALS = {
    "already_yours",
    "at_limit",
    "at_personal_limit",
    "chat_has_dialog",
    "closed",
    "closing",
    "has_it_already",
    "nobodys",
    "nobody_else",
    "not_assigned",
    "not_on_roster",
    "not_yours",
    "open",
    "taken",
    "waits_already",
}


@pytest.mark.parametrize(
    ("seed", "distribution", "counted"),
    [
        (11, "evenly", "all"),
        (12, "strictly", "without_answered"),
        (13, "evenly", "without_awaiting_customer"),
        (14, "all", "without_closing"),
        (15, "strictly", "without_closing"),
    ],
)
def test_acts_customers_and_clocks_at_once(
    desk: Desk, console: Console, seed: int, distribution: str, counted: str
) -> None:
    """S1-S5, D5, D7, D10: in each round a dozen acts on a few dialogs, new messages and clocks at the same moment.

    No caller meets a deadlock, nothing is refused without a name, and everything holds after each round.
    """
    chance = random.Random(seed)
    everybody = operators(desk, 3, personal_limit=2) + operators(desk, 2, name="free")
    settings: dict[str, Any] = {
        "distribution": distribution,
        "counted": counted,
        "max_dialogs": 2,
        "close_after": 60,
        "auto_close_text": "bye",
        "closing_text": "good bye",
        "full_close_after": 60,
        "mark_unanswered_after": 300,
        "unanswered_text": "a moment",
    }
    places = [
        desk.open_channel("one", ["telegram"], everybody, **settings),
        desk.open_channel("two", ["custom"], everybody, **settings),
    ]
    chief = operator(enrol(desk, desk.operator("chief"), Role.ADMINISTRATOR))
    workers, clocks = [desk.worker() for _ in range(2)], [Session(desk.options) for _ in range(2)]
    came = Counter[str]()
    for n in range(ROUNDS):
        acts = [partial(_some_act, console, chance.random(), desk, chief, everybody, places) for _ in range(9)]
        chats = [(chance.choice(["telegram", "custom"]), chance.randrange(16)) for _ in range(5)]
        desk.accept(*(text_message(key, chat, "hello") for key, chat in chats))
        if n % 3 == 0:
            desk.execute("UPDATE timers SET due_at = now() - interval '1 second' WHERE random() < 0.5")
        steps = [partial(_run_steps, worker) for worker in workers]
        ticks = [partial(_tick, session) for session in clocks]
        with watched(desk.url):
            came.update(at_once([*acts, *steps, *ticks], chance))
        drain(desk, workers[0])
        workers[0].run(Step.DISTRIBUTE)
        check(desk)
    for session in clocks:
        session.close()
    assert set(came) <= REFUSALS | {DONE, ""}, came
    assert came[DONE] > ROUNDS
    assert desk.value("SELECT count(*) FROM failures") == 0
    assert desk.ledger().pending == 0
    done = Counter(dict(desk.rows("SELECT cause, count(*) FROM events GROUP BY 1")))
    expected = {"answer", "close", "take", "transfer", "message", "accept"}
    assert expected <= set(done), "it was a race: everything happened"


def _some_act(
    console: Console, chosen: float, desk: Desk, chief: Operator, everybody: list[int], places: list[int]
) -> str:
    """An act on one of the newest dialogs: of its holder, of another operator, or of a supervisor."""
    chance = random.Random(chosen)
    newest = console_rows(console, "SELECT id, operator_id FROM dialogs ORDER BY id DESC LIMIT 24")
    if not newest:
        return ""
    dialog_id, has = chance.choice(newest)
    who = has if has is not None and chance.random() < 0.7 else chance.choice(everybody)
    me = operator(who)
    someone = chance.choice(list[Caller]([me, me, SERVICE, chief]))
    match chance.randrange(11):
        case 0 | 1:
            return console.answer(who, dialog_id)
        case 2:
            return console.close(someone, dialog_id)
        case 3:
            return console.take(chance.choice([me, chief]), dialog_id)
        case 4:
            targets = [Target(), Target(operator_id=chance.choice(everybody))]
            targets.append(Target(open_channel_id=chance.choice(places)))
            return console.transfer(someone, dialog_id, chance.choice(targets))
        case 5:
            return console.skip(who, dialog_id)
        case 6:
            return console.pin(someone, dialog_id, pinned=chance.random() < 0.5)
        case 7:
            return console.spam(someone, dialog_id)
        case 8:
            return console.reopen(someone, dialog_id)
        case _:
            return console.accept(who, dialog_id)


def console_rows(console: Console, query: str) -> list[tuple[int, int | None]]:
    with console.database.transaction() as connection:
        return connection.execute(query).fetchall()


def _run_steps(worker: Worker) -> str:
    for step in INBOX_STEPS:
        worker.run(step)
    return ""


def _tick(session: Session) -> str:
    work_off(session)
    return ""


# Operators who leave


@pytest.mark.parametrize("seed", [21, 22])
def test_operators_leave_while_they_are_given_dialogs(desk: Desk, console: Console, seed: int) -> None:
    """D6, D11: dismissed, on leave, their day over or off the roster, during assignments and acts at the same moment.

    Once the clock has looked, nothing is with somebody who has left, and everything else holds.
    """
    chance = random.Random(seed)
    workers, watches = [desk.worker() for _ in range(2)], [Session(desk.options) for _ in range(2)]
    staying = operators(desk, 1, personal_limit=50, name="limited") + operators(desk, 1, name="free")
    places = {
        key: desk.open_channel(key, [key], staying, max_dialogs=30, closing_text="bye", full_close_after=60)
        for key in ("telegram", "custom")
    }
    left: dict[str, list[int]] = {how: [] for how in ("dismissed", "leave", "workday", "roster")}
    for n in range(15):
        leaving = operators(desk, 4, personal_limit=chance.choice([None, 5]), name=f"leaving-{n}")
        desk.execute("UPDATE operators SET time_tracking = true, workday = 'started' WHERE id = ANY(%s)", [leaving[2]])
        for place in places.values():
            _put_roster(desk, place, [*leaving, *staying])
        for key in places:
            write(desk, *(f"{n}-first-{chat}" for chat in range(12)), key=key, worker=workers[0])
        desk.accept(*(text_message(key, f"{n}-{chat}", "hello") for key in places for chat in range(12)))
        drain(desk, workers[0], INBOX_STEPS[:-2])
        acts: list[Callable[[], object]] = [
            partial(_dismiss, console, leaving[0]),
            partial(_go_on_leave, console, leaving[1]),
            partial(_end_workday, console, leaving[2]),
            *(partial(_put_roster, desk, place, [*leaving[:3], *staying]) for place in places.values()),
            *(partial(_run_steps, worker) for worker in workers),
            *(partial(_answer_some, console, chance.random(), leaving) for _ in range(3)),
            *(PresenceWatch(session).look for session in watches),
        ]
        at_once(acts, chance)
        for how, who in zip(left, leaving, strict=True):
            left[how].append(who)
        drain(desk, workers[0])
        PresenceWatch(watches[0]).look()
        workers[0].run(Step.DISTRIBUTE)
        _nothing_is_left_with(desk, left)
        check(desk)
        for (dialog_id,) in desk.rows("SELECT id FROM dialogs WHERE status <> 'closed'"):
            assert console.spam(SERVICE, dialog_id) == DONE
    for session in watches:
        session.close()
    handed_back = causes(desk, "dismissed", "on_leave", "workday_ended", "off_roster")
    assert len(handed_back) == 4, "it was a race: each of them had something"


def _nothing_is_left_with(desk: Desk, left: dict[str, list[int]]) -> None:
    gone = left["dismissed"] + left["roster"]
    everything = "SELECT id, operator_id, status FROM dialogs WHERE operator_id = ANY(%s) AND status <> 'closed'"
    assert desk.rows(everything, gone) == [], "dismissed, off the roster: all that he has goes back"
    unanswered = everything + (
        " AND (status IN ('assigned', 'awaiting_operator') OR (status = 'accepted' AND answered_at IS NULL))"
    )
    assert desk.rows(unanswered, left["leave"] + left["workday"]) == [], "what nobody has answered goes back"


def _put_roster(desk: Desk, place: int, members: list[int]) -> None:
    session = Session(desk.options)
    with session.transaction() as connection:
        desks.put_roster(connection, place, [RosterMember(operator_id=one) for one in members])
    session.close()


def _dismiss(console: Console, who: int) -> str:
    return outcome(lambda: presence.dismiss(console.needs, asked(SERVICE), who))


def _go_on_leave(console: Console, who: int) -> str:
    now = datetime.now(UTC)
    return outcome(lambda: presence.give_leave(console.needs, asked(SERVICE), who, now, now + timedelta(days=2)))


def _end_workday(console: Console, who: int) -> str:
    return outcome(lambda: presence.turn_workday(console.needs, asked(operator(who)), who, Workday.ENDED))


def _answer_some(console: Console, chosen: float, leaving: list[int]) -> None:
    """The operators go on working while they leave; of the dismissed the token is void."""
    chance = random.Random(chosen)
    for _ in range(6):
        held = console_rows(
            console, "SELECT id, operator_id FROM dialogs WHERE status = 'assigned' ORDER BY random() LIMIT 3"
        )
        for dialog_id, who in held:
            if who in leaving:
                act = chance.choice([console.accept, console.answer])
                assert act(who, dialog_id) in REFUSALS | {DONE, "unknown_token"}
                if chance.random() < 0.3:
                    assert console.close(operator(who), dialog_id) in REFUSALS | {DONE, "unknown_token"}


# Many clocks


@pytest.mark.parametrize("clocks", [2, 4])
def test_each_of_five_hundred_clocks_goes_off_once(desk: Desk, console: Console, clocks: int) -> None:
    """D5, S2, S3, S4: 125 of each kind are due at once; one event each, and each text is sent once."""
    everybody = operators(desk, 3)
    desk.open_channel("handover", ["telegram"], everybody)
    desk.open_channel(
        "unanswered",
        ["whatsapp"],
        everybody,
        mark_unanswered_after=300,
        unanswered_text="a moment",
        handover_after=3600,
    )
    desk.open_channel("auto_close", ["custom"], everybody, close_after=60, auto_close_text="are you there?")
    desk.open_channel("closing", ["viber"], everybody, closing_text="good bye", full_close_after=60)
    made = {key: write(desk, *range(125), key=key) for key in ("telegram", "whatsapp", "custom", "viber")}
    holders = dict(desk.rows("SELECT id, operator_id FROM dialogs"))
    for dialog_id in made["custom"]:
        assert console.answer(holders[dialog_id], dialog_id) == DONE
    for dialog_id in made["viber"]:
        assert console.close(operator(holders[dialog_id]), dialog_id) == DONE
    desk.execute("DELETE FROM outbox")
    desk.execute(
        "UPDATE timers SET due_at = now() - random() * interval '1 hour' WHERE dialog_id <> 0 "
        "AND NOT (kind = 'handover' AND dialog_id = ANY(%s))",
        made["whatsapp"],
    )
    due = "SELECT kind, count(*) FROM timers WHERE dialog_id <> 0 AND due_at <= now() GROUP BY 1"
    assert dict(desk.rows(due)) == dict.fromkeys(["handover", "unanswered", "auto_close", "closing"], 125)
    with watched(desk.url):
        clocks_at_once(desk, clocks)
    went_off = causes(desk, "handover", "kept", "unanswered", "auto_close", "closing_over")
    assert went_off == {"handover": 125, "unanswered": 125, "auto_close": 125, "closing_over": 125}
    assert desk.value("SELECT max(n) FROM (SELECT count(*) AS n FROM events GROUP BY dialog_id, cause) AS counted") == 1
    said = "SELECT text, count(*), count(DISTINCT chat_id) FROM messages WHERE direction = 'out' GROUP BY 1 ORDER BY 1"
    texts = ["a moment", "are you there?", "good bye", "yes"]
    assert desk.rows(said) == [(text, 125, 125) for text in texts]
    assert desk.value("SELECT count(*) FROM outbox") == 250, "the text of S2, and that of S3"
    assert dict(desk.rows(due)) == {}


def test_a_dialog_that_is_closed_under_its_customers_message(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """D8, D11: what the dismissed had closing ends after the step has looked: the new dialog is tried."""
    gone, there = operators(desk, 2)
    desk.open_channel("desk", ["telegram"], [gone, there], distribution="strictly")
    (dialog_id,) = write(desk, 1)
    lock_open_of_chats = dialogs.lock_open_of_chats
    other = Session(desk.options)

    def closed_before(connection: Connection, chat_ids: Collection[int]) -> dict[int, LockedDialog]:
        with other.transaction() as past:
            returning.close(past, dialogs.lock_held(past, gone), "system", "dismissed")
        return lock_open_of_chats(connection, chat_ids)

    monkeypatch.setattr(dialogs, "lock_open_of_chats", closed_before)
    (second,) = write(desk, 1)
    assert second != dialog_id
    desk.worker().run(Step.DISTRIBUTE)
    assert holder(desk, second) == gone
    other.close()


# A worker that is stopped


@pytest.mark.timeout(60)
def test_a_stopped_worker_holds_up_no_other_open_channel(desk: Desk) -> None:
    """DESIGN, lock order: whatever it has locked is free again after idle_in_transaction_session_timeout.

    Others go on with other open channels at once; nothing is lost, and nothing is done twice when it goes on.
    """
    everybody = operators(desk, 4, personal_limit=100)
    one = desk.open_channel("one", ["telegram"], everybody[:2])
    desk.open_channel("two", ["custom"], everybody[2:])
    worker = desk.worker()
    before_distribute = INBOX_STEPS[: INBOX_STEPS.index(Step.DISTRIBUTE)]
    desk.accept(*(text_message("telegram", chat, "hello") for chat in range(5)))
    drain(desk, worker, before_distribute)
    context = multiprocessing.get_context("spawn")
    holds, options = context.Event(), {"idle_in_transaction_timeout": 5.0}
    stopped = context.Process(target=distribute_and_stop, args=(desk.url, holds, options))
    stopped.start()
    try:
        assert wait_for(lambda: holds.is_set() and is_stopped(stopped), 30)
        assert locked(desk, one)
        desk.accept(*(text_message("custom", chat, "hello") for chat in range(5)))
        _run_steps(worker)
        assert desk.value("SELECT count(*) FROM dialogs WHERE operator_id = ANY(%s)", everybody[2:]) == 5
        mixed = [text_message("telegram", "late", "hello"), text_message("custom", "late", "hello")]
        desk.accept(*mixed)
        _run_steps(worker)
        assert desk.value("SELECT count(*) FROM dialogs WHERE operator_id = ANY(%s)", everybody[2:]) == 6
        assert locked(desk, one), "it was stopped all the time"
        desk.options = DatabaseOptions(desk.url, "others", lock_timeout=0.2)
        others = [desk.worker() for _ in range(2)]
        desk.accept(*(text_message("telegram", chat, "hello") for chat in range(5, 9)))
        desk.accept(*(text_message("custom", chat, "hello") for chat in range(5, 9)))
        deadline = wait_for(lambda: _all_distributed(desk, others), 30)
        assert deadline, desk.stages()
    finally:
        os.kill(stopped.pid or 0, signal.SIGCONT)
        stopped.join(30)
    assert stopped.exitcode == 0
    drain(desk, worker)
    assert desk.value("SELECT count(*) FROM dialogs") == 20
    assert desk.value("SELECT count(*) FROM decisions") == 20, "D12: each once"
    given = dict(desk.rows("SELECT operator_id, count(*) FROM dialogs GROUP BY 1"))
    assert given == dict.fromkeys(everybody, 5), "D13"
    assert desk.value("SELECT count(*) FROM dead_letters") == 0


def locked(desk: Desk, open_channel_id: int) -> bool:
    """Whether somebody has locked an open channel."""
    free = "SELECT id FROM open_channels WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED"
    return desk.rows(free, open_channel_id) == []


def _all_distributed(desk: Desk, workers: list[Worker]) -> bool:
    at_once([partial(_run_steps, worker) for worker in workers])
    return bool(desk.value("SELECT count(*) = 0 FROM inbox_state WHERE stage < 'respond'"))


# Thousands


@pytest.mark.timeout(1200)
def test_thousands_of_dialogs_pass_no_limit_and_none_is_lost(desk: Desk, console: Console) -> None:
    """D7, D8, D12: four workers, fifty operators with limits, four threads of them who accept, answer and close.

    No limit is passed in any snapshot, nor when the event log is read again from its beginning; nobody is given a
    dialog while an older one of that open channel waits; all are served.
    """
    everybody = operators(desk, 25) + operators(desk, 25, personal_limit=4, name="limited")
    settings: dict[str, Any] = {"max_dialogs": 3, "handover_after": 3600}
    desk.open_channel("one", ["telegram"], everybody, **settings)
    desk.open_channel("two", ["custom"], everybody, **settings, distribution="strictly")
    desk.accept(*(text_message(key, chat, "hello") for chat in range(DIALOGS // 2) for key in ("telegram", "custom")))
    drain(desk, desk.worker(), INBOX_STEPS[: INBOX_STEPS.index(Step.DISTRIBUTE)])
    over = threading.Event()
    workers = [desk.worker() for _ in range(4)]

    def distribute_on(worker: Worker) -> None:
        while not over.is_set():
            worker.run(Step.DISTRIBUTE)

    def operate(share: int) -> None:
        chance = random.Random(share)
        found = "SELECT id, operator_id FROM dialogs WHERE operator_id %% 4 = %s AND status <> 'closed' LIMIT 40"
        try:
            with Session(desk.options).connection() as looking:
                while looking.execute("SELECT count(*) FROM dialogs WHERE status = 'closed'").fetchone() != (DIALOGS,):
                    for dialog_id, who in looking.execute(found, [share]).fetchall():
                        _serve(console, chance, dialog_id, who)
        finally:
            over.set()

    with watched(desk.url), ThreadPoolExecutor(8) as pool:
        distributing = [pool.submit(distribute_on, worker) for worker in workers]
        operating = [pool.submit(operate, share) for share in range(4)]
        for done in [*operating, *distributing]:
            done.result()
    assert desk.value("SELECT count(*) FROM dialogs WHERE status = 'closed'") == DIALOGS
    _read_the_log_again(desk)


def _serve(console: Console, chance: random.Random, dialog_id: int, who: int) -> None:
    """Nobody else has it, and no clock runs out: nothing is refused."""
    if chance.random() < 0.4:
        assert console.accept(who, dialog_id) == DONE
    if chance.random() < 0.6:
        assert console.answer(who, dialog_id) == DONE
    assert console.close(operator(who), dialog_id) == DONE


def _read_the_log_again(desk: Desk) -> None:
    """The loads after each event (D7), and the order in which dialogs were given (D8).

    What raises a load of an open channel, and the order there, is decided under its lock, and over all under the
    operator's: ids are then in the order of the commits.
    """
    personal_limits = dict(desk.rows("SELECT id, personal_limit FROM operators"))
    here, over_all = Counter[tuple[int, int]](), Counter[int]()
    waiting: dict[int, list[int]] = {}
    query = "SELECT dialog_id, open_channel_id, was_operator_id, operator_id, was, became FROM events ORDER BY id"
    for dialog_id, place, had, has, was, became in desk.rows(query):
        if became == "queued":
            heapq.heappush(waiting.setdefault(place, []), dialog_id)
        elif was == "queued":
            assert heapq.heappop(waiting[place]) == dialog_id, "D8: an older one was overtaken"
        if became == "closed":
            here[place, has] -= 1
            over_all[has] -= 1
        elif has is not None and has != had:
            here[place, has] += 1
            over_all[has] += 1
            assert here[place, has] <= 3, "D7"
            assert over_all[has] <= (personal_limits[has] or 6), "D7"
    assert not any(waiting.values())


def test_thousands_of_dialogs_are_given_evenly(desk: Desk) -> None:
    """D13: four workers, fifty operators without limits who do nothing meanwhile: they differ by at most one."""
    everybody = operators(desk, 50)
    desk.open_channel("desk", ["telegram"], everybody)
    desk.accept(*(text_message("telegram", chat, "hello") for chat in range(DIALOGS)))
    drain(desk, desk.worker(), INBOX_STEPS[: INBOX_STEPS.index(Step.DISTRIBUTE)])
    inbox_ids = [i for (i,) in desk.rows("SELECT inbox_id FROM inbox_state WHERE stage = 'distribute' ORDER BY 1")]

    def work(share: int) -> None:
        worker, mine = desk.worker(), inbox_ids[share::4]
        for start in range(0, len(mine), 40):
            worker.run(Step.DISTRIBUTE, mine[start : start + 40])

    at_once([partial(work, share) for share in range(4)])
    drain(desk, desk.worker())
    given = [n for (n,) in desk.rows("SELECT count(*) FROM dialogs GROUP BY operator_id")]
    assert (len(given), sum(given)) == (50, DIALOGS)
    assert max(given) - min(given) <= 1

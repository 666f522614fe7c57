"""distribute: dialogs and operators, with any number of workers (D1-D4, D6-D8, D12, D13, S1)."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.topology import Step
from crm_store import desks, dialogs, timers
from crm_store.database import Session
from crm_store.desks import RosterMember
from crm_store.timers import BacklogWish
from tests.pipeline import Desk, drain, text_message
from worker import distribution

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """A database; each test makes its own open channels."""
    with Desk(database_url) as made:
        yield made


def operators(desk: Desk, n: int, *, online: bool = True, personal_limit: int | None = None) -> list[int]:
    return [desk.operator(f"operator-{k}", online=online, personal_limit=personal_limit) for k in range(n)]


def write(desk: Desk, *chats: int, key: str = "telegram") -> None:
    """Each of these customers writes; taken through all steps."""
    desk.run_through(*(text_message(key, chat, "hello") for chat in chats))


def distribute_at_once(desk: Desk, workers: int) -> None:
    """Everything up to distribute by one worker, then distribute by many at once until nothing is left."""
    drain(desk, desk.worker(), [Step.CRM_LOOKUP, Step.BIND_CHAT, Step.ENSURE_CARD])
    ids = [i for (i,) in desk.rows("SELECT inbox_id FROM inbox_state WHERE stage = 'distribute' ORDER BY 1")]
    shares = [ids[n::workers] for n in range(workers)]

    def work(number: int) -> None:
        worker, mine = desk.worker(), shares[number]
        for start in range(0, len(mine), 40):
            worker.run(Step.DISTRIBUTE, mine[start : start + 40])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    drain(desk, desk.worker())


def held(desk: Desk) -> Counter[int]:
    return Counter(
        dict(desk.rows("SELECT operator_id, count(*) FROM dialogs WHERE operator_id IS NOT NULL GROUP BY 1"))
    )


def statuses(desk: Desk) -> list[str]:
    return [status for (status,) in desk.rows("SELECT status::text FROM dialogs ORDER BY id")]


def come(desk: Desk, operator: int) -> None:
    """He goes online: what waits is due (D8)."""
    with desk.session.transaction() as connection:
        desks.set_online(connection, operator, online=True)
        timers.set_backlogs(connection, desks.open_channels_of(connection, operator), 0.0)


def tick(desk: Desk, worker=None) -> None:
    """The timers are due, and the clock's hint is taken."""
    desk.make_due()
    (worker or desk.worker()).run(Step.DISTRIBUTE)


# Many workers


def test_four_workers_share_two_thousand_dialogs_evenly(desk):
    """D13: with nobody at a limit, the numbers of any two operators differ by at most one."""
    desk.open_channel("desk", ["telegram"], operators(desk, 7))
    desk.accept(*(text_message("telegram", chat, "hello") for chat in range(2000)))
    distribute_at_once(desk, 4)
    given = held(desk)
    assert sum(given.values()) == 2000
    assert max(given.values()) - min(given.values()) <= 1
    assert len(given) == 7
    assert desk.value("SELECT count(DISTINCT dialog_id) FROM decisions") == 2000, "D12: each explained"
    assert desk.value("SELECT count(*) FROM decisions") == 2000, "once"
    assert desk.value("SELECT turn FROM open_channels") == 2000


@pytest.mark.parametrize("distribution", ["evenly", "strictly"])
def test_four_workers_pass_no_limit(desk, distribution):
    """D7, D8: 2,000 dialogs, ten operators with 30 each: exactly 300 are given, the oldest ones."""
    desk.open_channel("desk", ["telegram"], operators(desk, 10), max_dialogs=30, distribution=distribution)
    desk.accept(*(text_message("telegram", chat, "hello") for chat in range(2000)))
    distribute_at_once(desk, 4)
    assert held(desk) == dict.fromkeys(held(desk), 30)
    assert len(held(desk)) == 10
    assert desk.value("SELECT count(*) FROM dialogs") == 2000
    oldest_waiting = desk.value("SELECT min(id) FROM dialogs WHERE status = 'queued'")
    assert desk.value("SELECT max(id) FROM dialogs WHERE status = 'assigned'") < oldest_waiting, "D8"


def test_a_personal_limit_holds_over_two_open_channels_at_once(desk):
    """D7: two open channels are distributed by different workers at the same moment, again and again."""
    everybody = operators(desk, 3, personal_limit=10)
    desk.open_channel("one", ["telegram"], everybody)
    desk.open_channel("two", ["custom"], list(reversed(everybody)))
    desk.accept(*(text_message(key, chat, "hello") for chat in range(100) for key in ("telegram", "custom")))
    drain(desk, desk.worker(), [Step.CRM_LOOKUP, Step.BIND_CHAT, Step.ENSURE_CARD])
    by_channel = [
        [i for (i,) in desk.rows(
            "SELECT inbox_id FROM inbox_state JOIN chats ON chats.id = chat_id WHERE channel_id = %s ORDER BY 1", c
        )]
        for (c,) in desk.rows("SELECT id FROM channels ORDER BY id")
    ]  # fmt: skip
    workers = [desk.worker(), desk.worker()]

    def work(number: int) -> None:
        for start in range(0, 100, 2):
            workers[number].run(Step.DISTRIBUTE, by_channel[number][start : start + 2])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    drain(desk, desk.worker())
    assert held(desk) == dict.fromkeys(everybody, 10)
    assert desk.value("SELECT count(*) FROM dialogs") == 200


def test_operators_with_a_personal_limit_are_decided_about_one_after_the_other(desk):
    """D7: who distributes another open channel waits, and then sees what the first has given."""
    (operator,) = operators(desk, 1, online=False, personal_limit=1)
    one = desk.open_channel("one", ["telegram"], [operator])
    desk.open_channel("two", ["custom"], [operator])
    write(desk, 1)
    write(desk, 1, key="custom")
    desk.execute("DELETE FROM timers WHERE open_channel_id = %s", one)
    desk.make_due()
    with desk.session.transaction() as connection:
        desks.set_online(connection, operator, online=True)
    slow, worker = Session(desk.options), desk.worker()
    with ThreadPoolExecutor(1) as pool:
        with slow.transaction() as connection:
            distribution.lock_and_serve(connection, one)
            waiting = pool.submit(worker.run, Step.DISTRIBUTE)
            while desk.blocked_sessions() == 0:
                assert not waiting.done(), "it must wait"
        waiting.result(20)
    slow.close()
    assert statuses(desk) == ["assigned", "queued"]


def test_concurrent_messages_of_one_chat_make_one_dialog(desk):
    """S1: one open dialog per chat."""
    desk.open_channel("desk", ["telegram"], operators(desk, 2))
    desk.accept(*(text_message("telegram", chat, f"{n}") for n in range(5) for chat in range(40)))
    distribute_at_once(desk, 4)
    assert desk.value("SELECT count(*) FROM dialogs") == 40
    assert desk.value("SELECT count(*) FROM events WHERE became = 'queued'") == 40


# D1-D4


def test_a_department_stands_for_its_members_in_order(desk):
    """D1: in its place, each operator once, at his first place."""
    a, b, c, d = operators(desk, 4)
    open_channel_id = desk.open_channel("desk", ["telegram"], distribution="strictly", max_dialogs=1)
    with desk.session.transaction() as connection:
        department = desks.put_department(connection, "sales", [c, a, b])
        members = [RosterMember(operator_id=d), RosterMember(department_id=department), RosterMember(operator_id=a)]
        desks.put_roster(connection, open_channel_id, members)
    write(desk, 1)
    write(desk, 2)
    write(desk, 3, 4)
    assert desk.rows("SELECT operator_id FROM dialogs ORDER BY id") == [(d,), (c,), (a,), (b,)]


def test_evenly_over_single_messages(desk):
    """D2, D13: one dialog at a time, as at rest."""
    everybody = operators(desk, 3)
    desk.open_channel("desk", ["telegram"], everybody)
    for chat in range(7):
        write(desk, chat)
    assert desk.rows("SELECT operator_id FROM dialogs ORDER BY id") == [(everybody[n % 3],) for n in range(7)]


@pytest.mark.parametrize("through_department", [False, True])
def test_a_newcomer_counts_from_when_he_joined(desk, through_department):
    """D2: he neither catches up nor is left out, on the roster himself or as a member of a department."""
    a, b, newcomer = operators(desk, 3)
    open_channel_id = desk.open_channel("desk", ["telegram"])

    def join(*ids: int) -> None:
        with desk.session.transaction() as connection:
            if through_department:
                members = [RosterMember(department_id=desks.put_department(connection, "sales", list(ids)))]
                if newcomer in ids:
                    return
            else:
                members = [RosterMember(operator_id=i) for i in ids]
            desks.put_roster(connection, open_channel_id, members)

    join(a, b)
    for chat in range(10):
        write(desk, chat)
    join(a, b, newcomer)
    for chat in range(10, 16):
        write(desk, chat)
    given = [i for (i,) in desk.rows("SELECT operator_id FROM dialogs WHERE id > 10 ORDER BY id")]
    assert Counter(given) == {a: 2, b: 2, newcomer: 2}
    assert given[0] == a, "who has waited longest is first"


def test_all_offers_to_everybody(desk):
    """D4: an offer, not an assignment, not stored per operator; nobody eligible: it waits."""
    (operator,) = operators(desk, 1, online=False)
    desk.open_channel("desk", ["telegram"], [operator], distribution="all")
    write(desk, 1)
    assert statuses(desk) == ["queued"]
    come(desk, operator)
    write(desk, 2)
    assert statuses(desk) == ["offered", "offered"]
    assert held(desk) == {}
    assert desk.rows("SELECT rule, operator_id FROM decisions") == [("D4", None)] * 2


# D6, D7


def test_who_is_silent_for_long_is_offline(desk):
    """D6: a heartbeat older than its limit; without `check_availability` it does not matter."""
    silent, there = operators(desk, 2)
    desk.execute("UPDATE operators SET seen_at = now() - interval '61 seconds' WHERE id = %s", silent)
    desk.open_channel("checks", ["telegram"], [silent, there])
    desk.open_channel("not", ["custom"], [silent, there], check_availability=False, distribution="strictly")
    write(desk, 1)
    write(desk, 2)
    write(desk, 1, key="custom")
    assert desk.rows("SELECT operator_id FROM dialogs ORDER BY id") == [(there,), (there,), (silent,)]
    assert desk.rows("SELECT ineligible FROM plans ORDER BY id LIMIT 1") == [({"offline": [silent]},)]


def test_the_dismissed_get_nothing(desk):
    """D6: whatever is set."""
    gone, there = operators(desk, 2)
    desk.execute("UPDATE operators SET dismissed_at = now() WHERE id = %s", gone)
    desk.open_channel("desk", ["telegram"], [gone, there], check_availability=False)
    write(desk, 1, 2)
    assert held(desk) == {there: 2}


@pytest.mark.parametrize(
    ("counted", "free_after"),
    [
        ("all", set()),
        ("without_answered", {"answered", "awaiting_customer", "closing, answered"}),
        ("without_awaiting_customer", {"awaiting_customer"}),
        ("without_closing", {"closing", "closing, answered"}),
    ],
)
@pytest.mark.parametrize(
    ("state", "status", "answered"),
    [
        ("assigned", "assigned", False),
        ("assigned, answered", "assigned", True),
        ("accepted", "accepted", False),
        ("answered", "awaiting_operator", True),
        ("awaiting_customer", "awaiting_customer", True),
        ("closing", "closing", False),
        ("closing, answered", "closing", True),
    ],
)
def test_which_dialogs_count(desk, counted, free_after, state, status, answered):
    """D7: the setting `counted`; assigned but not yet accepted ones always count."""
    (operator,) = operators(desk, 1)
    desk.open_channel("desk", ["telegram"], [operator], max_dialogs=1, counted=counted)
    write(desk, 1)
    desk.execute(
        "UPDATE dialogs SET status = %s::dialog_status, answered_at = CASE WHEN %s THEN now() END", status, answered
    )
    write(desk, 2)
    expected = "assigned" if state in free_after else "queued"
    assert statuses(desk)[-1] == expected


def test_dialogs_of_other_open_channels_count_by_their_own_setting(desk):
    """D7: the personal limit is over all, each dialog counted as its open channel says."""
    (operator,) = operators(desk, 1, personal_limit=1)
    desk.open_channel("lenient", ["custom"], [operator], counted="without_answered")
    desk.open_channel("desk", ["telegram"], [operator])
    write(desk, 1, key="custom")
    write(desk, 1)
    assert statuses(desk) == ["assigned", "queued"]
    desk.execute("UPDATE dialogs SET status = 'awaiting_customer', answered_at = now() WHERE status = 'assigned'")
    tick(desk)
    assert statuses(desk) == ["awaiting_customer", "assigned"]


# D8


def test_the_backlog_is_served_by_age_as_slots_free(desk):
    """D8: none overtakes another, neither in the backlog nor a newer one from outside."""
    (operator,) = operators(desk, 1)
    desk.open_channel("desk", ["telegram"], [operator], max_dialogs=1)
    write(desk, *range(5))
    order = []
    for chat in range(5, 9):
        (current,) = desk.rows("SELECT id FROM dialogs WHERE status = 'assigned'")
        order.append(current[0])
        with desk.session.transaction() as connection:
            dialogs.lock(connection, current[0])
            dialogs.close(connection, [current[0]])
            timers.set_backlogs(connection, [1], 0)
        write(desk, chat)
    assert order == [row[0] for row in desk.rows("SELECT id FROM dialogs ORDER BY id LIMIT 4")]
    assert statuses(desk) == ["closed"] * 4 + ["assigned"] + ["queued"] * 4


def test_a_waiting_backlog_has_a_timer(desk):
    """D8: tried in any case every two minutes, by the clock's hint alone; served, it has none."""
    (operator,) = operators(desk, 1, online=False)
    desk.open_channel("desk", ["telegram"], [operator])
    write(desk, 1)
    timer = "SELECT extract(epoch FROM due_at - now())::float8 FROM timers WHERE dialog_id = 0"
    assert 100 < desk.value(timer) <= 120
    write(desk, 2)
    assert 100 < desk.value(timer) <= 120
    with desk.session.transaction() as connection:
        assert timers.due_backlogs(connection, 10) == []
        desks.set_online(connection, operator, online=True)
    worker = desk.worker()
    worker.run(Step.DISTRIBUTE)
    assert statuses(desk) == ["queued", "queued"], "not before its time, where nothing points at it"
    tick(desk, worker)
    assert statuses(desk) == ["assigned", "assigned"]
    assert desk.rows(timer) == []


def test_a_timer_of_a_backlog_that_stays_is_set_again(desk):
    """D8: as long as anybody waits."""
    desk.open_channel("desk", ["telegram"])
    write(desk, 1)
    for _ in range(3):
        tick(desk)
        assert desk.value("SELECT due_at > now() + interval '100 seconds' FROM timers")


def test_an_earlier_deadline_stays(desk):
    """D8: a timer is never put off by a later try of something else."""
    open_channel_id = desk.open_channel("desk", ["telegram"])
    with desk.session.transaction() as connection:
        timers.set_backlogs(connection, [open_channel_id], 10)
        timers.set_backlogs(connection, [open_channel_id], 100)
    assert desk.value("SELECT due_at < now() + interval '11 seconds' FROM timers")
    with desk.session.transaction() as connection:
        timers.set_backlogs(connection, [open_channel_id], 1)
    assert desk.value("SELECT due_at < now() + interval '2 seconds' FROM timers")


def test_a_timer_that_was_set_anew_stays(desk):
    """D8: who has tried a backlog drops the timer that he has read, not one that somebody has set since."""
    open_channel_id = desk.open_channel("desk", ["telegram"])
    with desk.session.transaction() as connection:
        timers.set_backlogs(connection, [open_channel_id], 0)
        read = timers.backlogs(connection, [open_channel_id])[open_channel_id].generation
        timers.set_backlogs(connection, [open_channel_id], 0)
        timers.settle_backlogs(connection, [BacklogWish(open_channel_id, None, read)])
        assert timers.due_backlogs(connection, 10) == [open_channel_id]
        timers.settle_backlogs(connection, [BacklogWish(open_channel_id, 120.0, read)])
        assert timers.due_backlogs(connection, 10) == [open_channel_id], "not put off"
        read = timers.backlogs(connection, [open_channel_id])[open_channel_id].generation
        timers.settle_backlogs(connection, [BacklogWish(open_channel_id, None, read)])
        assert timers.backlogs(connection, [open_channel_id]) == {}


def test_a_backlog_that_cannot_be_served_holds_up_no_other(desk):
    """D8: settings that cannot be read fail their own open channel only, and are tried again later."""
    (operator,) = operators(desk, 1, online=False)
    broken = desk.open_channel("broken", ["custom"], [operator])
    desk.open_channel("desk", ["telegram"], [operator])
    write(desk, 1, key="custom")
    write(desk, 1)
    with desk.session.transaction() as connection:
        desks.set_online(connection, operator, online=True)
    desk.execute('UPDATE open_channels SET settings = \'{"distribution": "nonsense"}\' WHERE id = %s', broken)
    tick(desk)
    assert statuses(desk) == ["queued", "assigned"]
    left = desk.rows("SELECT open_channel_id, due_at > now() + interval '100 seconds' FROM timers WHERE dialog_id = 0")
    assert left == [(broken, True)]


def test_a_large_backlog_is_planned_in_portions(desk, monkeypatch):
    """D8: one transaction takes so many, and says that there is more."""
    monkeypatch.setattr(distribution, "MOST_AT_ONCE", 10)
    (operator,) = operators(desk, 1, online=False)
    desk.open_channel("desk", ["telegram"], [operator])
    write(desk, *range(25))
    with desk.session.transaction() as connection:
        desks.set_online(connection, operator, online=True)
    worker = desk.worker()
    tick(desk, worker)
    assert Counter(statuses(desk)) == {"assigned": 10, "queued": 15}
    assert Step.DISTRIBUTE in [hinted for hinted, _, _ in worker.hints.published]
    worker.run(Step.DISTRIBUTE)
    worker.run(Step.DISTRIBUTE)
    assert Counter(statuses(desk)) == {"assigned": 25}


def test_the_customer_is_told_once_per_dialog(desk):
    """D8, A4: however often he writes, and however often the backlog is tried; not once he is served."""
    desk.open_channel("desk", ["telegram"], nobody_available_text="We are away.")
    write(desk, 1)
    write(desk, 1, 2)
    tick(desk)
    out = "SELECT chat_id, text FROM messages WHERE direction = 'out' ORDER BY chat_id"
    assert [text for _, text in desk.rows(out)] == ["We are away."] * 2
    assert desk.value("SELECT count(DISTINCT chat_id) FROM messages WHERE direction = 'out'") == 2
    operator = desk.operator("o")
    desk.open_channel("desk", ["telegram"], [operator], nobody_available_text="We are away.")
    write(desk, 3)
    assert len(desk.rows(out)) == 2


# S1, D12


def test_a_customers_message_changes_the_status(desk):
    """S1, S4: with an event that says who, why, from what to what; a closed dialog is followed by another one."""
    (operator,) = operators(desk, 1)
    desk.open_channel("desk", ["telegram"], [operator])
    write(desk, 1)
    changes = {"awaiting_customer": "awaiting_operator", "closing": "awaiting_operator", "accepted": "accepted"}
    for before, after in changes.items():
        desk.execute("UPDATE dialogs SET status = %s::dialog_status", before)
        write(desk, 1)
        assert statuses(desk) == [after]
    assert desk.rows("SELECT actor, cause, was::text, became::text FROM events ORDER BY id") == [
        ("customer", "message", None, "queued"),
        ("system", "D2", "queued", "assigned"),
        ("customer", "message", "awaiting_customer", "awaiting_operator"),
        ("customer", "message", "closing", "awaiting_operator"),
        ("customer", "message", "accepted", "accepted"),
    ]
    desk.close_dialogs()
    write(desk, 1)
    assert statuses(desk) == ["closed", "assigned"]


def test_every_assignment_has_one_record(desk):
    """D12: rule, who got it, who was considered, and why each was passed over."""
    a, b, c = operators(desk, 3)
    desk.execute("UPDATE operators SET online = false WHERE id = %s", c)
    desk.open_channel("desk", ["telegram"], [a, b, c], max_dialogs=1)
    write(desk, 1, 2, 3)
    assert desk.rows("SELECT dialog_id - 1, rule, operator_id, candidates FROM decisions ORDER BY id") == [
        (0, "D2", a, {"later_in_turn": [b]}),
        (1, "D2", b, {"at_limit": [a]}),
    ]
    assert desk.rows("SELECT DISTINCT ineligible FROM decisions JOIN plans ON plans.id = plan_id") == [
        ({"offline": [c]},)
    ]
    assert statuses(desk) == ["assigned", "assigned", "queued"]


def test_a_dialog_shows_the_card_of_its_chat(desk):
    """S1: a card and a deal that come later are on the open dialog."""
    desk.open_channel("desk", ["livechat"], mode="deal")
    write(desk, 1, key="livechat")
    assert desk.value("SELECT deal_id FROM dialogs") is None
    desk.run_through(text_message("livechat", 1, "ann@shop-mail.de"))
    shown = "SELECT dialogs.card_id = chats.card_id, dialogs.deal_id = chats.deal_id FROM dialogs, chats"
    assert desk.rows(shown) == [(True, True)]

"""The life of dialogs on PostgreSQL against a model with a fake clock: messages, acts, presence and time in any order
(D2-D8, D10-D12, S1-S4).

OPENCHANNEL_STATEFUL_EXAMPLES runs more than the usual few.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from config.topology import Step
from console import operations, presence, transfers
from console.acting import Asked
from console.dependencies import Dependencies
from console.security import Caller, Operator, Service, actor_of
from console.transfers import Target
from crm_store import timers
from crm_store.database import Database
from crm_store.secrets import hash_token
from tests.dialog_invariants import check
from tests.dialog_model import HELD, Happened, Model, ModelDesk, ModelDialog, ModelOperator
from tests.pipeline import Desk, text_message
from tracker.dialogs import ActRefusedError
from tracker.presence import Workday
from worker.presence_watch import PresenceWatch
from worker.timers import work_off

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

EXAMPLES = int(os.environ.get("OPENCHANNEL_STATEFUL_EXAMPLES", "15"))
STEPS = 50

NUMBERS = st.integers(0, 30)
"""Picks one of those that there are."""

COUNTED = ("all", "without_answered", "without_awaiting_customer", "without_closing")


class Dialogs(RuleBasedStateMachine):
    """Every step is done by the product; its events are told to the model, which knows what may and must happen."""

    url: str

    @initialize(
        policies=st.tuples(*[st.sampled_from(["evenly", "evenly", "strictly", "all"])] * 2),
        limits=st.tuples(*[st.sampled_from([None, 1, 2])] * 2),
        counted=st.tuples(*[st.sampled_from(COUNTED)] * 2),
        personal=st.tuples(*[st.sampled_from([None, None, 2])] * 4),
        full_close=st.sampled_from([0, 300]),
    )
    def begin(self, policies, limits, counted, personal, full_close) -> None:
        self.desk = Desk(self.url).__enter__()
        self.database = Database(self.desk.options).__enter__()
        self.needs = Dependencies(self.database, lambda _step: None, dict, b"")
        self.worker = self.desk.worker()
        self.seen = 0
        ids = [self.desk.operator(f"operator {n}", personal_limit=limit) for n, limit in enumerate(personal)]
        operators = [ModelOperator(who, limit) for who, limit in zip(ids, personal, strict=True)]
        operators[3].tracked, operators[3].workday = True, "started"
        self.desk.execute("UPDATE operators SET time_tracking = true, workday = 'started' WHERE id = %s", ids[3])
        rosters = [ids, [ids[2], ids[0], ids[3]]]
        desks = []
        for n, roster in enumerate(rosters):
            place = self.desk.open_channel(
                f"desk {n}",
                ["telegram"],
                roster,
                prefix=f"{n}-",
                distribution=policies[n],
                max_dialogs=limits[n],
                counted=counted[n],
                mark_unanswered_after=300,
                close_after=600,
                closing_text="Good bye" if full_close else "",
                full_close_after=full_close,
            )
            desks.append(ModelDesk(place, policies[n], roster, limits[n], counted[n], 60, 300, 600, full_close))
        self.model = Model(operators, desks)
        self.began = float(self.desk.value("SELECT extract(epoch FROM clock_timestamp())::float8"))
        self.passed = 0.0

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.__exit__()
            tables = (
                "inbox_keys, inbox, inbox_state, ledger, audit, identifiers, cards, chats, messages, outbox, claims"
            )
            desk = "operators, open_channels, channels, roster_entries, seats, leaves"
            of_dialogs = "dialogs, events, decisions, plans, timers, idempotency_keys"
            self.desk.execute(f"TRUNCATE {tables}, {desk}, {of_dialogs} RESTART IDENTITY CASCADE")
            self.desk.__exit__()

    # How a step is held against the model

    def follow(self) -> list[Happened]:
        """Tell the model all that has happened since."""
        real = float(self.desk.value("SELECT extract(epoch FROM clock_timestamp())::float8"))
        self.model.now = real - self.began + self.passed
        rows = self.desk.rows(
            """
            SELECT
                events.id, events.dialog_id, events.open_channel_id, actor, cause, was::text, became::text,
                was_operator_id, events.operator_id, channels.key || ' ' || chats.external_id
            FROM events JOIN dialogs ON dialogs.id = events.dialog_id
            JOIN chats ON chats.id = dialogs.chat_id JOIN channels ON channels.id = chats.channel_id
            WHERE events.id > %s ORDER BY events.id
            """,
            self.seen,
        )
        happened = [Happened(*row[1:]) for row in rows]
        for event in happened:
            self.model.happened(event)
        self.seen = max([self.seen, *(row[0] for row in rows)])
        return happened

    def settle(self) -> None:
        """The clock and the workers go on until nothing is due; then everything must be as the rules demand."""
        self.follow()
        for _ in range(100):
            PresenceWatch(self.desk.session).look()
            work_off(self.desk.session)
            self.worker.run(Step.DISTRIBUTE)
            self.follow()
            with self.desk.session.transaction() as connection:
                if not timers.due_clocks(connection, 1) and not timers.due_backlogs(connection, 1):
                    break
        else:
            raise AssertionError("the clocks do not come to rest")
        self.model.check_quiet()
        rows = self.desk.rows("SELECT id, status::text, operator_id, pinned, unanswered_at IS NOT NULL FROM dialogs")
        assert {row[0]: row[1:] for row in rows} == {
            one.id: (one.status, one.holder, one.pinned, one.marked) for one in self.model.dialogs.values()
        }
        check(self.desk)

    def act(self, caller: Caller, act: str, work: Callable[[Asked], object], expected: str, *causes: str) -> None:
        """An act that is refused for the expected reason, or done with events of these causes."""
        try:
            work(Asked(caller, actor_of(caller), act))
            reason = ""
        except ActRefusedError as refused:
            reason = refused.reason
        assert reason == expected, f"{act} by {caller}: {reason!r} instead of {expected!r}"
        happened = [one.cause for one in self.follow()]
        assert happened[: len(causes)] == ([] if reason else list(causes)), happened
        self.settle()

    def any_dialog(self, number: int) -> ModelDialog:
        return sorted(self.model.dialogs.values(), key=lambda one: one.id)[number % len(self.model.dialogs)]

    def caller(self, number: int, dialog: ModelDialog) -> Operator:
        """Its holder twice as often as anybody else."""
        active = [one.id for one in self.model.operators.values() if not one.dismissed]
        likely = [dialog.holder] * len(active) if dialog.holder in active else []
        choice = [*active, *likely]
        return self.as_caller(choice[number % len(choice)] or 0)

    def as_caller(self, operator_id: int) -> Operator:
        """With the token that the tests' desk gives."""
        place = sorted(self.model.operators).index(operator_id)
        return Operator(operator_id, "somebody", token_hash=hash_token(f"operator {place}"))

    # Steps

    @rule(desk=st.integers(0, 1), chats=st.lists(st.integers(0, 7), min_size=1, max_size=4))
    def write(self, desk: int, chats: list[int]) -> None:
        key = f"{desk}-telegram"
        before = {chat: self.model.open_of(f"{key} {chat}") for chat in chats}
        leaving = {
            one.id
            for one in before.values()
            if one and one.holder and one.status in HELD and not one.pinned
            and not self.model.operators[one.holder].there
        }  # fmt: skip
        self.desk.run_through(*(text_message(key, chat, "hello") for chat in chats))
        happened = self.follow()
        told = [one.chat for one in happened if one.cause == "message"]
        assert sorted(set(told)) == sorted({f"{key} {chat}" for chat in chats}), "S1: every message is an event"
        assert {one.dialog_id for one in happened if one.cause == "operator_unavailable"} == leaving, "D11"
        self.settle()

    @precondition(lambda self: self.model.dialogs)
    @rule(dialog=NUMBERS, who=NUMBERS)
    def accept(self, dialog: int, who: int) -> None:
        it = self.any_dialog(dialog)
        me = self.caller(who, it)
        self.act(
            me,
            "accept",
            lambda asked: operations.accept(self.needs, asked, me, it.id),
            self.no_accept(it, me.id),
            "accept",
        )

    def no_accept(self, it: ModelDialog, me: int) -> str:
        if it.status == "offered":
            operator = self.model.operators[me]
            if me not in it.desk.roster:
                return "not_on_roster"
            if me in self.model.eligible(it.desk):
                return ""
            if operator.tracked and not operator.available:
                return "workday_paused" if operator.workday == "paused" else "workday_not_started"
            if not operator.there:
                return "offline"
            if operator.away and not operator.tracked:
                return "away"
            return self.first_limit(it.desk, me)
        if it.status == "assigned" and it.holder == me:
            return ""
        if it.status in ("queued", "closed"):
            return {"queued": "not_assigned"}.get(it.status, it.status)
        return "already_yours" if it.holder == me else "taken"

    def first_limit(self, desk: ModelDesk, me: int) -> str:
        here = sum(self.model.counts(one) for one in self.model.held_by(me) if one.desk is desk)
        return "at_limit" if desk.limit is not None and here >= desk.limit else "at_personal_limit"

    @precondition(lambda self: self.model.dialogs)
    @rule(dialog=NUMBERS, who=NUMBERS)
    def answer(self, dialog: int, who: int) -> None:
        it = self.any_dialog(dialog)
        me = self.caller(who, it)
        refusal = "closed" if it.status == "closed" else "" if it.holder == me.id else "not_yours"
        if it.status == "closing" and not refusal:
            refusal = "closing"
        causes = ("accept", "answer") if it.status == "assigned" else ("answer",)
        self.act(me, "answer", lambda asked: operations.answer(self.needs, asked, me, it.id, "Hello"), refusal, *causes)

    @precondition(lambda self: self.model.dialogs)
    @rule(dialog=NUMBERS, who=NUMBERS)
    def skip(self, dialog: int, who: int) -> None:
        it = self.any_dialog(dialog)
        me = self.caller(who, it)
        refusal = ""
        if it.status == "closed":
            refusal = "closed"
        elif it.holder != me.id:
            refusal = "not_yours"
        elif it.status != "assigned":
            refusal = "already_yours"
        elif not self.model.eligible(it.desk, but=me.id):
            refusal = "nobody_else"
        self.act(me, "skip", lambda asked: operations.skip(self.needs, asked, me, it.id), refusal, "skip")

    @precondition(lambda self: self.model.dialogs)
    @rule(dialog=NUMBERS, who=NUMBERS)
    def take(self, dialog: int, who: int) -> None:
        it = self.any_dialog(dialog)
        me = self.caller(who, it)
        refusal = ""
        if it.status == "closed":
            refusal = "closed"
        elif it.holder == me.id:
            refusal = "already_yours"
        elif it.holder is not None:
            refusal = "taken"
        elif me.id not in it.desk.roster:
            refusal = "not_on_roster"
        else:
            refusal = self.left(me.id)
        self.act(me, "take", lambda asked: operations.take(self.needs, asked, me, it.id), refusal, "take")

    def left(self, who: int) -> str:
        """From him it would go back at once (D11)."""
        operator = self.model.operators[who]
        if operator.dismissed:
            return "dismissed"
        return "workday_not_started" if operator.tracked and operator.workday == "ended" else ""

    def no_charge(self, it: ModelDialog, caller: Caller) -> str:
        if it.status == "closed":
            return "closed"
        return "" if isinstance(caller, Service) or it.holder == caller.id else "not_yours"

    @precondition(lambda self: self.model.dialogs)
    @rule(dialog=NUMBERS, who=NUMBERS, to=st.integers(0, 6), service=st.booleans())
    def transfer(self, dialog: int, who: int, to: int, service: bool) -> None:
        it = self.any_dialog(dialog)
        caller: Caller = Service() if service else self.caller(who, it)
        refusal = self.no_charge(it, caller) or ("closing" if it.status == "closing" else "")
        operators, desks = sorted(self.model.operators), sorted(self.model.desks)
        target = Target()
        if to < len(operators):
            target = Target(operator_id=operators[to])
            refusal = refusal or self.no_transfer(it, operators[to], service=service)
        elif to < len(operators) + len(desks):
            target = Target(open_channel_id=desks[to - len(operators)])
        if target.operator_id is None and target.open_channel_id in (None, it.desk.id) and it.status == "queued":
            refusal = refusal or "waits_already"
        self.act(
            caller,
            "transfer",
            lambda asked: transfers.transfer(self.needs, asked, it.id, target),
            refusal,
            "transfer",
        )

    def no_transfer(self, it: ModelDialog, to: int, *, service: bool) -> str:
        operator = self.model.operators[to]
        if to == it.holder:
            return "has_it_already"
        if left := self.left(to):
            return left
        if service:
            return ""
        if operator.tracked and not operator.available:
            return "workday_paused" if operator.workday == "paused" else "workday_not_started"
        if not operator.there:
            return "offline"
        if not operator.available:
            return "away"
        return "" if self.model.has_room(to, it.desk) else self.first_limit(it.desk, to)

    @precondition(lambda self: self.model.dialogs)
    @rule(dialog=NUMBERS, who=NUMBERS, service=st.booleans(), act=st.sampled_from(["close", "close", "spam"]))
    def end(self, dialog: int, who: int, service: bool, act: str) -> None:
        it = self.any_dialog(dialog)
        caller: Caller = Service() if service else self.caller(who, it)
        work = operations.close if act == "close" else operations.spam
        self.act(caller, act, lambda asked: work(self.needs, asked, it.id), self.no_charge(it, caller), act)

    @precondition(lambda self: self.model.dialogs)
    @rule(dialog=NUMBERS, who=NUMBERS, pinned=st.booleans())
    def pin(self, dialog: int, who: int, pinned: bool) -> None:
        it = self.any_dialog(dialog)
        me = self.caller(who, it)
        causes = [] if it.pinned is pinned else ["pin" if pinned else "unpin"]
        self.act(
            me,
            "pin",
            lambda asked: operations.pin(self.needs, asked, it.id, pinned=pinned),
            self.no_charge(it, me),
            *causes,
        )

    @precondition(lambda self: self.model.dialogs)
    @rule(dialog=NUMBERS, who=NUMBERS, service=st.booleans())
    def reopen(self, dialog: int, who: int, service: bool) -> None:
        it = self.any_dialog(dialog)
        me = self.caller(who, it)
        caller: Caller = Service() if service else me
        refusal = ""
        if it.status not in ("closed", "closing"):
            refusal = "open"
        elif not service and it.holder != me.id:
            refusal = "not_yours"
        elif self.model.open_of(it.chat) not in (None, it):
            refusal = "chat_has_dialog"
        elif not service and self.left(me.id):
            refusal = self.left(me.id)
        elif not service and not self.model.counts(it) and not self.model.has_room(me.id, it.desk):
            refusal = self.first_limit(it.desk, me.id)
        self.act(caller, "reopen", lambda asked: operations.reopen(self.needs, asked, it.id), refusal, "reopen")

    @rule(who=st.integers(0, 3), how=st.sampled_from(["online", "online", "away", "offline", "silent"]))
    def move(self, who: int, how: str) -> None:
        """He comes, goes, or his screen falls silent."""
        operator = self.model.operators[sorted(self.model.operators)[who]]
        if operator.dismissed:
            return
        asked = Asked(self.as_caller(operator.id), "o", how)
        if how == "silent":
            operator.silent = True
            self.desk.execute("UPDATE operators SET seen_at = now() - interval '1 hour' WHERE id = %s", operator.id)
        else:
            acts = {"online": presence.go_online, "away": presence.go_away, "offline": presence.go_offline}
            acts[how](self.needs, asked, operator.id)
            operator.silent, operator.online, operator.away = False, how != "offline", how == "away"
        self.settle()

    @rule(workday=st.sampled_from(list(Workday)))
    def turn_workday(self, workday: Workday) -> None:
        operator = self.model.operators[max(self.model.operators)]
        left = {one.id for one in self.model.held_by(operator.id) if self.model.is_left(one)}
        if operator.dismissed:
            return
        before = operator.workday
        try:
            presence.turn_workday(self.needs, Asked(self.as_caller(operator.id), "o", "workday"), operator.id, workday)
            operator.workday = workday.value
        except ActRefusedError:
            assert before == workday.value or (before, workday) == ("ended", Workday.PAUSED)
        happened = self.follow()
        went = {one.dialog_id for one in happened if one.cause == "workday_ended"}
        assert went == (left if workday is Workday.ENDED and before != "ended" else set()), "D11"
        self.settle()

    @precondition(lambda self: sum(one.dismissed for one in self.model.operators.values()) < 2)
    @rule(who=st.integers(0, 3), really=st.integers(0, 5))
    def dismiss(self, who: int, really: int) -> None:
        operator = self.model.operators[sorted(self.model.operators)[who]]
        if really or operator.dismissed:  # seldom: else nobody is left
            return
        operator.dismissed = True
        presence.dismiss(self.needs, Asked(Service(), "service", "dismiss"), operator.id)
        self.settle()

    @rule(seconds=st.sampled_from([10, 31, 62, 301, 700, 5000]))
    def pass_time(self, seconds: int) -> None:
        """Whoever is not silent sends heartbeats meanwhile."""
        self.passed += seconds
        self.desk.execute(f"UPDATE timers SET due_at = due_at - interval '{seconds} seconds'")
        self.desk.execute("UPDATE operators SET seen_at = now() WHERE seen_at > now() - interval '30 minutes'")
        self.settle()


def test_dialogs_live_as_the_model_says(database_url: str) -> None:
    """D2-D8, D10-D12, S1-S4."""
    Dialogs.url = database_url
    run_state_machine_as_test(
        Dialogs,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )

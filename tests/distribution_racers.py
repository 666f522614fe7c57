"""Those who race for dialogs in one database: operators at the console, workers, clocks, and who watches them."""

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any, Self, TypeVar

from config.topology import Step
from console import operations, transfers
from console.acting import Asked
from console.dependencies import Dependencies
from console.problems import ProblemError
from console.security import Caller, Operator, Service, actor_of
from console.transfers import Target
from crm_store import desks
from crm_store.database import Connection, Database, DatabaseOptions, Session
from crm_store.inbox import ClaimedItem
from crm_store.secrets import hash_token
from tests import dialog_invariants
from tests.dialog_invariants import Rows, snapshot
from tests.pipeline import Desk
from tracker.access import Role
from tracker.dialogs import ActRefusedError
from worker.runner import Carried, Outcome
from worker.steps.distribute import distribute
from worker.timers import work_off

DONE = "done"
SERVICE = Service()

R = TypeVar("R")


class Console:
    """The acts of the API without HTTP, for as many callers at once as there are connections. Use it as a context."""

    def __init__(self, url: str, connections: int) -> None:
        self.database = Database(DatabaseOptions(url, "console", pool_size=connections))
        self.needs = Dependencies(self.database, lambda _: None, dict, b"")

    def __enter__(self) -> Self:
        self.database.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.database.__exit__()

    def accept(self, operator_id: int, dialog_id: int) -> str:
        """Each act returns DONE, or the reason for which it was refused; anything else is an error."""
        me = operator(operator_id)
        return outcome(lambda: operations.accept(self.needs, asked(me), me, dialog_id))

    def skip(self, operator_id: int, dialog_id: int) -> str:
        """As all acts."""
        me = operator(operator_id)
        return outcome(lambda: operations.skip(self.needs, asked(me), me, dialog_id))

    def answer(self, operator_id: int, dialog_id: int) -> str:
        """As all acts."""
        me = operator(operator_id)
        return outcome(lambda: operations.answer(self.needs, asked(me), me, dialog_id, "yes"))

    def take(self, caller: Operator, dialog_id: int) -> str:
        """As all acts."""
        return outcome(lambda: operations.take(self.needs, asked(caller), caller, dialog_id))

    def transfer(self, caller: Caller, dialog_id: int, target: Target) -> str:
        """As all acts."""
        return outcome(lambda: transfers.transfer(self.needs, asked(caller), dialog_id, target))

    def close(self, caller: Caller, dialog_id: int) -> str:
        """As all acts."""
        return outcome(lambda: operations.close(self.needs, asked(caller), dialog_id))

    def spam(self, caller: Caller, dialog_id: int) -> str:
        """As all acts."""
        return outcome(lambda: operations.spam(self.needs, asked(caller), dialog_id))

    def reopen(self, caller: Caller, dialog_id: int) -> str:
        """As all acts."""
        return outcome(lambda: operations.reopen(self.needs, asked(caller), dialog_id))

    def pin(self, caller: Caller, dialog_id: int, *, pinned: bool) -> str:
        """As all acts."""
        return outcome(lambda: operations.pin(self.needs, asked(caller), dialog_id, pinned=pinned))


def operator(operator_id: int) -> Operator:
    """A caller."""
    return Operator(operator_id, f"operator {operator_id}", token_hash=token_of(operator_id))


def enrol(desk: Desk, operator_id: int, role: Role = Role.OPERATOR) -> int:
    """Give an operator the token with which `operator` calls, and a role; returns his id."""
    parameters = (token_of(operator_id), role.value, operator_id)
    desk.execute("UPDATE operators SET token_hash = %s, role = %s WHERE id = %s", *parameters)
    return operator_id


def token_of(operator_id: int) -> bytes:
    """The hash of an operator's token."""
    return hash_token(f"token of {operator_id}")


def asked(caller: Caller) -> Asked:
    """An act under no key."""
    return Asked(caller, actor_of(caller), "race")


def outcome(act: Callable[[], object]) -> str:
    """DONE, or the reason of a refusal. A deadlock that reaches the caller, and every other error, is raised."""
    try:
        act()
    except (ActRefusedError, ProblemError) as refused:
        return refused.reason
    return DONE


def at_once(acts: Sequence[Callable[[], R]], chance: random.Random | None = None) -> list[R]:
    """Do all of this at the same moment, each in a thread of its own; results in the order of the acts.

    chance: some start up to two milliseconds later, so that the order changes from round to round.
    """
    barrier = threading.Barrier(len(acts))
    delays = [chance.choice([0, 0, chance.uniform(0, 0.002)]) if chance else 0.0 for _ in acts]

    def run(number: int) -> R:
        barrier.wait()
        if delays[number]:
            threading.Event().wait(delays[number])
        return acts[number]()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, range(len(acts))))


def clocks_at_once(desk: Desk, clocks: int) -> None:
    """So many clock processes work off what is due, until nothing is."""

    def work() -> None:
        session = Session(desk.options)
        try:
            while desk_has_due_clocks(session):
                work_off(session)
        finally:
            session.close()

    at_once([work] * clocks)


def desk_has_due_clocks(session: Session) -> bool:
    """Whether any clock of a dialog has run out."""
    with session.transaction() as connection:
        found = connection.execute(
            "SELECT EXISTS (SELECT FROM timers WHERE dialog_id <> 0 AND due_at <= clock_timestamp())"
        ).fetchone()
    return bool(found and found[0])


@contextmanager
def watched(url: str, look: Callable[[Rows], list[str]] = dialog_invariants.over_limits) -> Iterator[list[str]]:
    """Look at one snapshot after the other, as long as the block runs; gives what was found broken, and raises it."""
    over, found, looks = threading.Event(), list[str](), [0]

    def watch() -> None:
        while not over.wait(0.01):
            with snapshot(url) as rows:
                found.extend(look(rows))
            looks[0] += 1

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield found
        finally:
            over.set()
            watching.result(60)
    assert looks[0] > 0
    assert found == [], found[:3]


def distribute_and_stop(url: str, holds: Event, options: dict[str, Any]) -> None:
    """A worker process that stops (SIGSTOP) once it has distributed a batch, before its commit; then it goes on."""

    def stopping(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        made = distribute(connection, items, carried)
        if not holds.is_set():
            holds.set()
            os.kill(os.getpid(), signal.SIGSTOP)
        return made

    with Desk(url) as desk:
        desk.options = DatabaseOptions(url, "stopped", **options)
        with desk.session.transaction() as connection:
            assert desks.settings_of(connection, []) == {}
        desk.worker({Step.DISTRIBUTE: stopping}).run(Step.DISTRIBUTE)


def is_stopped(process: multiprocessing.process.BaseProcess) -> bool:
    """Whether a process stands still."""
    with open(f"/proc/{process.pid}/stat") as status:  # noqa: PTH123
        return ") T " in status.read()

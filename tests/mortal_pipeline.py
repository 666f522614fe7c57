"""A message's whole way in one process, which is forked again and again to die between two side effects each time.

    python -m tests.mortal_pipeline TRACE FIRED     (settings in the environment, as for the product's processes)

Says in JSON what was seen and who died. Each message has a customer of its own; whoever has died is followed by
somebody who does what there is to do, and sends again what was not answered, as a provider does.
"""

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, zip_longest
from pathlib import Path

import httpx
import psycopg
from starlette.applications import Starlette

import cli.web
from chaos import effects
from chaos.failpoints import Pair, Track
from cli.composition import broker_url, database_options, database_url, process_settings, secret_box
from config.settings import Settings
from config.topology import Step
from crm_store.database import Session
from tests.webhooks import message
from worker.app import make_app
from worker.clock import Clock, ClockOptions
from worker.delivery import Delivery
from worker.hints import Hints
from worker.process import BESIDES, HANDLERS
from worker.runner import Limits, StepRunner, Workplace, nothing_besides
from worker.tasks import StepTask, run_items

PATIENCE = 60.0


class Pipeline:
    """All processes in one. Nothing is opened before `take`, so that it may be forked."""

    def __init__(self, settings: Settings, trace: Path, fired: Path) -> None:
        self._settings = settings
        self.track = Track("pipeline", trace=trace, fired=fired)
        effects.install(self.track)
        self._web: Starlette = cli.web.make_web(settings)

    def post(self, number: int) -> None:
        """A webhook call with message `number`."""
        asyncio.run(self._post(number))

    async def _post(self, number: int) -> None:
        webhook = message("custom", number, f"message {number}", number=number)
        transport = httpx.ASGITransport(self._web)
        async with (
            self._web.router.lifespan_context(self._web),
            httpx.AsyncClient(transport=transport, base_url="http://desk") as client,
        ):
            response = await client.post(
                f"/webhooks/{webhook.key}", content=webhook.body, headers=dict(webhook.headers)
            )
            assert response.status_code == 200, response.text

    def go_through(self) -> None:
        """Take all that waits through the steps to its channel, then let the clock tick."""
        hints = Hints(make_app(broker_url(self._settings)))
        session, witness = (Session(database_options(self._settings, "worker")) for _ in range(2))
        workplace = Workplace(f"worker-{os.getpid()}", session, witness, hints, Limits())
        tasks = [
            StepTask(step, run_items(StepRunner(step, handler, workplace, BESIDES.get(step, nothing_besides))), _idle)
            for step, handler in HANDLERS.items()
        ]
        tasks.append(StepTask(Step.DELIVER, Delivery(session, secret_box(self._settings), hints).run, _idle))
        deadline = time.monotonic() + PATIENCE
        while self._something_waits():
            assert time.monotonic() < deadline, "it does not come to its end"
            for task in tasks:
                task.run()
        Clock(session, hints, ClockOptions()).tick()

    def _something_waits(self) -> bool:
        """Time passes: a lease that a dead worker held is over."""
        with psycopg.connect(database_url(self._settings), autocommit=True) as connection:
            leased = "UPDATE outbox SET due_at = now() WHERE state = 'pending' RETURNING 1"
            return bool(
                connection.execute("SELECT 1 FROM inbox_state WHERE stage < 'done' LIMIT 1").fetchall()
                or connection.execute(leased).fetchall()
            )


def _idle() -> None:
    """Nobody watches."""


def in_a_child(work: Callable[[], None]) -> int:
    """Do it in a fork; returns the number of the signal that ended it, negative, or its exit code."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:  # whatever comes, nothing of the parent's is done here
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def distinct(seen: Sequence[Pair]) -> list[Pair]:
    """What all steps have in common once, and nothing of the clock, which leaves things as they were."""
    kept: dict[tuple[str, ...], Pair] = {}
    for pair in seen:
        scopes, names = zip(*(effect.split("/") for effect in pair), strict=True)
        if scopes[1] in ("accept", *Step):
            kept.setdefault(names, pair)
    return list(kept.values())


def in_rounds(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """At most one of each step in a round, the last step first: so nobody comes to what another has left there."""
    scopes = ["accept", *Step]
    by_step = [[pair for pair in pairs if pair[1].startswith(f"{scope}/")] for scope in reversed(scopes)]
    return [[pair for pair in places if pair is not None] for places in zip_longest(*by_step)]


def main() -> None:
    """Two live, the second of whom is traced; then one dies for each pair, and after each round another follows."""
    trace, fired = map(Path, sys.argv[1:3])
    pipeline = Pipeline(process_settings("test"), trace, fired)

    def live(*numbers: int) -> None:
        for number in numbers:
            pipeline.post(number)
        pipeline.go_through()

    def die(number: int, pair: Pair) -> None:
        pipeline.track._kill_between = frozenset({pair})
        live(number)

    ends = [in_a_child(lambda: live(1))]
    at = trace.stat().st_size
    ends.append(in_a_child(lambda: live(2)))
    seen = [(line.split("\t")[1], line.split("\t")[2]) for line in trace.read_text()[at:].splitlines()]
    killed, numbers = [], count(3)
    for pairs in in_rounds(distinct(seen)):
        unanswered = []
        for pair, number in zip(pairs, numbers, strict=False):
            killed.append((*pair, in_a_child(partial(die, number, pair)) == -signal.SIGKILL))
            if pair[1].startswith("accept/"):
                unanswered.append(number)
        ends.append(in_a_child(partial(live, *unanswered)))
    print(json.dumps({"seen": seen, "killed": killed, "ends": ends}))


if __name__ == "__main__":
    main()

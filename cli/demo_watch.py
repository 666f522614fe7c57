"""Looks at the running demo: numbers from PostgreSQL, processes from the supervisor, deliveries from the callbacks."""

import time
from collections import deque
from dataclasses import asdict

from cli.demo_table import LATEST, Deliveries, Frame
from cli.up import RunningMachine
from crm_store import overview
from crm_store.database import DatabaseOptions, Session
from crm_store.errors import DatabaseAwayError
from crm_store.ledger import Ledger
from crm_store.overview import Overview
from loadgen.callbacks import CallbackServer
from loadgen.customers import Sent

RATE_SECONDS = 5.0
RESTING_SHARE = 10
"""The looks take at most about one part in so many of the time, however much there is to count."""


class Watch:
    """Not for several threads. With PostgreSQL away it goes on with what it saw last."""

    def __init__(self, machine: RunningMachine, callbacks: CallbackServer, sent: Sent, token_from: str) -> None:
        self.overview = Overview()
        self.current = False
        """Whether the latest look succeeded."""
        self.look_took = 0.0
        self._machine = machine
        self._callbacks = callbacks
        self._sent = sent
        self._token_from = token_from
        self._began = time.monotonic()
        self._earlier: deque[tuple[float, Ledger]] = deque()
        self._session = Session(
            DatabaseOptions(machine.database_url, "openchannel demo", connect_timeout=2, statement_timeout=5)
        )

    @property
    def seconds(self) -> float:
        """Since the watch began."""
        return time.monotonic() - self._began

    @property
    def deliveries(self) -> Deliveries:
        """To the custom channel's server, so far."""
        return Deliveries(self._callbacks.received, self._callbacks.repeated, self._callbacks.unproved)

    def look(self, phase: str) -> Frame:
        """What is to be seen now."""
        began = time.monotonic()
        try:
            with self._session.transaction() as connection:
                self.overview = overview.read(connection, LATEST)
            self.current = True
        except DatabaseAwayError:
            self.current = False
            phase = f"{phase}, PostgreSQL is away"
        self.look_took = time.monotonic() - began
        return Frame(
            seconds=self.seconds,
            phase=phase,
            overview=self.overview,
            rates=self._rates(began),
            processes=self._machine.supervisor.status(),
            deliveries=self.deliveries,
            repeats=self._sent.repeats,
            docs_url=f"{self._machine.web_url}/docs",
            token_from=self._token_from,
        )

    def pause(self, seconds: float) -> float:
        """Seconds to the next look: these, or more where a look takes long."""
        return max(seconds, self.look_took * RESTING_SHARE)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _rates(self, now: float) -> dict[str, float]:
        if self.current:
            self._earlier.append((now, self.overview.ledger))
        while len(self._earlier) > 2 and now - self._earlier[1][0] >= RATE_SECONDS:
            self._earlier.popleft()
        if not self._earlier or now - self._earlier[0][0] < 0.5:
            return {}
        then, before = self._earlier[0]
        figures = asdict(before)
        return {name: (value - figures[name]) / (now - then) for name, value in asdict(self.overview.ledger).items()}

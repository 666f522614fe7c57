"""What a plan costs: from 10 to 5,000 operators, from 0 to 100,000 waiting dialogs. `make bench-distribution`.

In every cell 100 dialogs find operators: ten operators have room for ten each, all others are at their limit and come
before them in turn, which is the worst order there is. So only what must not matter differs: how many others there are,
and how many dialogs wait besides.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from crm_store import desks, seats
from crm_store.database import Connection, DatabaseOptions, Session
from crm_store.migrations import migrate
from runtime.machine import Machine
from tracker.channels import Distribution, OpenChannelSettings
from worker.distribution import lock_and_serve

OPERATORS = (10, 100, 1000, 5000)
WAITING = (0, 1000, 10_000, 100_000)
FREE, LIMIT = 10, 10
SERVED = FREE * LIMIT
TIMES = 31
POLICIES = (Distribution.EVENLY.value, Distribution.STRICTLY.value)
"""`all` chooses nobody: it offers, and so has no such cost."""

_OPERATORS = """
INSERT INTO operators (name, online, seen_at)
SELECT 'operator ' || n, true, now() + interval '1 day' FROM generate_series(1, %(n)s) AS n
"""
_ROSTER = """
INSERT INTO roster_entries (open_channel_id, position, operator_id)
SELECT %(place)s, id, id FROM operators ORDER BY id
"""
_CHATS = """
INSERT INTO channels (key, kind, name, open_channel_id, secrets) VALUES ('bench', 'custom', 'bench', %(place)s, '');
"""
_MORE_CHATS = """
INSERT INTO chats (channel_id, external_id)
SELECT channels.id, gen_random_uuid() FROM channels, generate_series(1, %(n)s)
"""
_HELD = """
INSERT INTO dialogs (open_channel_id, chat_id, status, operator_id, assigned_at, first_assigned_at, accepted_at)
SELECT %(place)s, chat.id, 'accepted', operators.id, now(), now(), now()
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM chats) AS chat
JOIN operators ON operators.id = 1 + chat.n / %(limit)s AND operators.id <= %(busy)s
"""
_WAITING = """
INSERT INTO dialogs (open_channel_id, chat_id, status)
SELECT %(place)s, id, 'queued' FROM chats
WHERE NOT EXISTS (SELECT FROM dialogs WHERE dialogs.chat_id = chats.id) LIMIT %(n)s
"""
_UNDO = """
WITH given AS (
    UPDATE dialogs SET status = 'queued', operator_id = NULL, assigned_at = NULL, first_assigned_at = NULL
    WHERE status = 'assigned' RETURNING id
)
DELETE FROM timers USING given WHERE dialog_id = given.id
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every cell in one run, and print microseconds per dialog; 0 if the curve is flat within 20 %."""
    parser = argparse.ArgumentParser(prog="bench.distribution", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--policy", choices=POLICIES, default="evenly")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder, Machine(Path(folder) / "data", None, None) as machine:
        migrate(machine.database_url)
        session = Session(DatabaseOptions(machine.database_url, "bench", statement_timeout=600))
        worker = Session(DatabaseOptions(machine.database_url, "bench worker", by_index=True))
        cells = {(n, w): _cell(session, worker, Distribution(given.policy), n, w) for n in OPERATORS for w in WAITING}
        session.close()
        worker.close()
    _print(cells)
    if given.json:
        figures = [{"operators": n, "waiting": w, "microseconds": cost} for (n, w), cost in cells.items()]
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if max(cells.values()) <= 1.2 * cells[OPERATORS[0], WAITING[0]] else 1


def _cell(session: Session, worker: Session, policy: Distribution, n: int, waiting: int) -> float:
    """Microseconds per dialog, the median over some plans. worker: as workers have it."""
    with session.transaction() as connection:
        place = _world(connection, policy, n, waiting)
    with session.connection() as connection:
        connection.execute("VACUUM ANALYZE")
    costs = []
    for _ in range(TIMES):
        began = time.perf_counter()
        with worker.transaction() as connection:
            lock_and_serve(connection, place)
        costs.append(time.perf_counter() - began)
        with session.transaction() as connection:
            (given,) = connection.execute("SELECT count(*) FROM dialogs WHERE status = 'assigned'").fetchone() or (0,)
            assert given == SERVED, given  # noqa: S101  else it measures something else
            connection.execute(_UNDO)
            seats.free_slots(connection, [(operator_id, place) for operator_id in range(n - FREE + 1, n + 1)])
    return statistics.median(costs) / SERVED * 1e6


def _world(connection: Connection, policy: Distribution, n: int, waiting: int) -> int:
    connection.execute("TRUNCATE operators, open_channels, timers, events, decisions, plans RESTART IDENTITY CASCADE")
    settings = OpenChannelSettings(distribution=policy, max_dialogs=LIMIT)
    place = desks.put_open_channel(connection, "bench", settings)
    connection.execute(_OPERATORS, {"n": n})
    connection.execute(_ROSTER, {"place": place})
    desks.seat(connection, [place])
    connection.execute("UPDATE seats SET turn = position, given = position")
    connection.execute("UPDATE open_channels SET turn = %s", [n])
    connection.execute(_CHATS, {"place": place})
    busy = n - FREE
    connection.execute(_MORE_CHATS, {"n": busy * LIMIT + waiting + SERVED})
    connection.execute(_HELD, {"place": place, "limit": LIMIT, "busy": busy})
    connection.execute(_WAITING, {"place": place, "n": waiting + SERVED})
    return place


def _print(cells: dict[tuple[int, int], float]) -> None:
    head = "".join(f"{waiting:>12,}" for waiting in WAITING)
    sys.stdout.write(f"microseconds per dialog; waiting besides:\n{'operators':>10}{head}\n")
    for n in OPERATORS:
        sys.stdout.write(f"{n:>10,}" + "".join(f"{cells[n, waiting]:>12.0f}" for waiting in WAITING) + "\n")
    first = cells[OPERATORS[0], WAITING[0]]
    sys.stdout.write(f"the dearest costs {max(cells.values()) / first:.2f} times the first\n")


if __name__ == "__main__":
    sys.exit(main())

"""Dialogs: what always holds of them (D4-D8, D12, S1-S4), asked of the tables alone, not of the code that wrote them.

It holds in every snapshot, so also while others work.

Above a limit (D7). A dialog is *excused* if it is marked `over_limit`, or if it came back to the count without changing
hands: where `counted` leaves out what awaits the customer, or what is closing, the event log says that since its holder
got it, it has left that status, because its customer wrote, it was closed, or he answered in what was closing. Under
`all` and `without_answered` nothing comes back: there the limit holds strictly. A reopening is no excuse. What nothing
excuses never exceeds a limit, because whoever is given a dialog has, all told, fewer than the limit. Limits that were
lowered are past this check.

Waiting (D8). Whatever makes somebody able to have a dialog makes its backlog due in the same transaction: so nothing
waits for an eligible operator with a free slot, unless the backlog is due. Time alone (a heartbeat that comes back
within its limit, the end of a leave) is noted by the clock.
"""

from collections.abc import Iterator, Mapping

from chaos.checks.seen import SHOWN, Rows

_COUNTED = """
    SELECT
        dialogs.id, dialogs.operator_id, dialogs.open_channel_id,
        (open_channels.settings ->> 'max_dialogs')::integer AS max_dialogs,
        dialogs.over_limit OR EXISTS (
            SELECT FROM events
            WHERE events.dialog_id = dialogs.id AND events.cause <> 'reopen' AND events.became <> events.was
                AND events.operator_id = events.was_operator_id
                AND events.was = CASE open_channels.settings ->> 'counted'
                    WHEN 'without_awaiting_customer' THEN 'awaiting_customer'::dialog_status
                    WHEN 'without_closing' THEN 'closing'
                END
                AND events.id > (
                    SELECT max(got.id) FROM events AS got
                    WHERE got.dialog_id = dialogs.id AND got.operator_id = dialogs.operator_id
                        AND got.was_operator_id IS DISTINCT FROM got.operator_id
                )
        ) AS excused
    FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
    WHERE dialogs.operator_id IS NOT NULL AND dialogs.status NOT IN ('queued', 'offered', 'closed') AND (
        dialogs.status = 'assigned' OR CASE coalesce(open_channels.settings ->> 'counted', 'all')
            WHEN 'without_answered' THEN dialogs.answered_at IS NULL
            WHEN 'without_awaiting_customer' THEN dialogs.status <> 'awaiting_customer'
            WHEN 'without_closing' THEN dialogs.status <> 'closing'
            ELSE true
        END
    )
"""
"""Dialogs that count against the limits of whoever has them (D7)."""

_LIMITS = {
    "D7: nobody has more of an open channel than max_dialogs": f"""
        SELECT open_channel_id, operator_id, count(*), max_dialogs FROM ({_COUNTED}) AS counted
        WHERE NOT excused GROUP BY open_channel_id, operator_id, max_dialogs HAVING count(*) > max_dialogs
    """,  # noqa: S608 - of our own parts
    "D7: nobody has more over all than his personal limit": f"""
        SELECT operator_id, count(*), personal_limit
        FROM ({_COUNTED}) AS counted JOIN operators ON operators.id = operator_id
        WHERE NOT excused GROUP BY operator_id, personal_limit HAVING count(*) > personal_limit
    """,  # noqa: S608 - of our own parts
}

_NEVER = {
    "S1: what is with somebody has one holder, what waits has none": """
        SELECT id, status, operator_id FROM dialogs
        WHERE status <> 'closed' AND (status IN ('queued', 'offered')) <> (operator_id IS NULL)
    """,
    "S1: one open dialog per chat": """
        SELECT chat_id, count(*) FROM dialogs WHERE status <> 'closed' GROUP BY chat_id HAVING count(*) > 1
    """,
    "S1: whoever has accepted it has done so at some time, whoever has not has not": """
        SELECT id, status, accepted_at FROM dialogs
        WHERE (status IN ('accepted', 'awaiting_customer') AND accepted_at IS NULL)
            OR (status IN ('queued', 'offered', 'assigned') AND accepted_at IS NOT NULL)
    """,
    "S1: what is closed says when": "SELECT id FROM dialogs WHERE (status = 'closed') <> (closed_at IS NOT NULL)",
    "D12: each assignment, and each 'kept', has one decision record": """
        SELECT dialog_id, operator_id, logged.n, explained.n FROM (
            SELECT dialog_id, operator_id, count(*) AS n FROM events
            WHERE dialog_id IS NOT NULL AND (
                (operator_id IS NOT NULL AND operator_id IS DISTINCT FROM was_operator_id)
                OR cause = 'kept'
            )
            GROUP BY dialog_id, operator_id
        ) AS logged
        FULL JOIN (SELECT dialog_id, operator_id, count(*) AS n FROM decisions GROUP BY dialog_id, operator_id)
            AS explained USING (dialog_id, operator_id)
        WHERE operator_id IS NOT NULL AND logged.n IS DISTINCT FROM explained.n
    """,
    "D12: each offer has one decision record": """
        SELECT dialog_id, logged.n, explained.n
        FROM (
            SELECT dialog_id, count(*) AS n FROM events
            WHERE became = 'offered' AND was IS DISTINCT FROM became GROUP BY dialog_id
        ) AS logged
        FULL JOIN (SELECT dialog_id, count(*) AS n FROM decisions WHERE operator_id IS NULL GROUP BY dialog_id)
            AS explained USING (dialog_id)
        WHERE logged.n IS DISTINCT FROM explained.n
    """,
    "D5: the hand-over clock runs for what is assigned, and for nothing else": """
        SELECT id, status FROM dialogs WHERE (status = 'assigned') <> EXISTS (
            SELECT FROM timers WHERE timers.kind = 'handover' AND timers.dialog_id = dialogs.id
        )
    """,
    "S3: the auto-close runs only where the customer is awaited, and nobody has pinned it": """
        SELECT id, status, pinned FROM dialogs JOIN timers ON timers.dialog_id = dialogs.id
        WHERE timers.kind = 'auto_close' AND (status <> 'awaiting_customer' OR pinned)
    """,
    "S4: the clock of the end runs for what is closing, and for nothing else": """
        SELECT id, status FROM dialogs WHERE (status = 'closing') <> EXISTS (
            SELECT FROM timers WHERE timers.kind = 'closing' AND timers.dialog_id = dialogs.id
        )
    """,
    "S1: what is closed has no clock, and a clock stands where its dialog does": """
        SELECT timers.dialog_id, timers.kind, dialogs.status
        FROM timers LEFT JOIN dialogs ON dialogs.id = timers.dialog_id
        WHERE timers.dialog_id <> 0 AND (
            dialogs.id IS NULL OR dialogs.status = 'closed' OR dialogs.open_channel_id <> timers.open_channel_id
        )
    """,
    "D8: where something waits, the clock tries it": """
        SELECT DISTINCT open_channel_id FROM dialogs WHERE status = 'queued' AND NOT EXISTS (
            SELECT FROM timers
            WHERE timers.kind = 'backlog' AND timers.dialog_id = 0
                AND timers.open_channel_id = dialogs.open_channel_id
        )
    """,
    "D8: nothing waits for who could have it": f"""
        WITH counted AS MATERIALIZED ({_COUNTED}),
        able AS (
            SELECT one.id, one.availability = 'available' AS available, one.dismissed_at
            FROM operators_now AS one WHERE one.dismissed_at IS NULL AND (
                one.personal_limit IS NULL
                OR (SELECT count(*) FROM counted WHERE counted.operator_id = one.id) < one.personal_limit
            )
        )
        SELECT waiting.open_channel_id, waiting.n, able.id
        FROM (
            SELECT open_channel_id, preferred_id, count(*) AS n FROM dialogs
            WHERE status = 'queued' GROUP BY open_channel_id, preferred_id
        ) AS waiting
        JOIN open_channels ON open_channels.id = waiting.open_channel_id
        JOIN able ON EXISTS (
            SELECT FROM seats WHERE seats.open_channel_id = waiting.open_channel_id AND seats.operator_id = able.id
        )
        WHERE (able.available OR coalesce((open_channels.settings ->> 'check_availability')::boolean, true) = false)
            AND (
                open_channels.settings ->> 'max_dialogs' IS NULL
                OR (
                    SELECT count(*) FROM counted
                    WHERE counted.operator_id = able.id AND counted.open_channel_id = waiting.open_channel_id
                ) < (open_channels.settings ->> 'max_dialogs')::integer
            )
            AND NOT EXISTS (
                SELECT FROM timers
                WHERE timers.kind = 'backlog' AND timers.open_channel_id = waiting.open_channel_id
                    AND timers.dialog_id = 0 AND timers.due_at <= clock_timestamp()
            )
    """,  # noqa: S608 - of our own parts
    "S1: what an event was, the one before became, with the same operator": """
        SELECT dialog_id, id, was, before, was_operator_id, operator_before FROM (
            SELECT
                *, lag(became) OVER line AS before, lag(operator_id) OVER line AS operator_before,
                row_number() OVER line AS number
            FROM events WHERE dialog_id IS NOT NULL WINDOW line AS (PARTITION BY dialog_id ORDER BY id)
        ) AS one
        WHERE was IS DISTINCT FROM before OR was_operator_id IS DISTINCT FROM operator_before
            OR (number = 1 AND (actor, became) IS DISTINCT FROM ('customer', 'queued'::dialog_status))
    """,
    "S1: a dialog is what its last event says": """
        SELECT dialogs.id, dialogs.status, became, dialogs.operator_id, last.operator_id
        FROM dialogs LEFT JOIN LATERAL (
            SELECT became, operator_id, open_channel_id FROM events
            WHERE dialog_id = dialogs.id ORDER BY id DESC LIMIT 1
        ) AS last ON true
        WHERE (dialogs.status, dialogs.operator_id, dialogs.open_channel_id)
            IS DISTINCT FROM (last.became, last.operator_id, last.open_channel_id)
    """,
    "none is lost: a customer's message that was distributed is in a dialog of its chat": """
        SELECT state.inbox_id, state.chat_id, state.dialog_id
        FROM inbox_state AS state LEFT JOIN dialogs ON dialogs.id = state.dialog_id
        WHERE state.distributed_at IS NOT NULL AND dialogs.chat_id IS DISTINCT FROM state.chat_id
    """,
}

_CLOCKS = {
    "S2: nobody has answered, and the clock that marks it as unanswered does not run": """
        SELECT dialogs.id, status FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
        WHERE open_channels.settings ->> 'mark_unanswered_after' IS NOT NULL
            AND dialogs.answered_at IS NULL AND dialogs.unanswered_at IS NULL AND dialogs.status <> 'closed'
            AND NOT EXISTS (
                SELECT FROM events WHERE events.dialog_id = dialogs.id AND events.became IN ('closing', 'closed')
            )
            AND NOT EXISTS (
                SELECT FROM timers WHERE timers.kind = 'unanswered' AND timers.dialog_id = dialogs.id
            )
    """,
    "S3: the customer is awaited, and the clock that closes does not run": """
        SELECT dialogs.id, status FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
        WHERE open_channels.settings ->> 'close_after' IS NOT NULL
            AND dialogs.status = 'awaiting_customer' AND NOT dialogs.pinned
            AND NOT EXISTS (
                SELECT FROM timers WHERE timers.kind = 'auto_close' AND timers.dialog_id = dialogs.id
            )
    """,
}
"""They hold where nobody changes settings and transfers nothing to an open channel of other settings."""

RULES = (*_NEVER, *_LIMITS, *_CLOCKS)
"""By name."""

_OVERDUE = """
    SELECT kind, open_channel_id, dialog_id FROM timers WHERE due_at < now() - %s * interval '1 second'
"""


def broken(rows: Rows, *, limits: bool = True) -> list[str]:
    """What does not hold, each rule with the first rows that break it. limits: false where they were lowered."""
    return list(_told({**_NEVER, **(_LIMITS if limits else {})}, rows))


def over_limits(rows: Rows) -> list[str]:
    """Who is above a limit that nobody excuses (D7); cheap enough to be asked all the time."""
    return list(_told(_LIMITS, rows))


def missing_clocks(rows: Rows) -> list[str]:
    """Clocks that must run, by the settings as they have been throughout, and do not (S2, S3)."""
    return list(_told(_CLOCKS, rows))


def overdue(rows: Rows, seconds: float) -> list[str]:
    """Timers that came due so long ago, and that nobody has worked off."""
    late = rows(_OVERDUE, seconds)
    return [f"timers that nobody works off: {len(late)} ({late[:SHOWN]})"] if late else []


def _told(rules: Mapping[str, str], rows: Rows) -> Iterator[str]:
    return (f"{rule}: {odd[:SHOWN]}" for rule, query in rules.items() if (odd := rows(query)))

-- Seats: who may be given dialogs of an open channel, in the order of its policy.
-- Lock order: the open channel is locked by the caller; loads over all open channels hold only if the operator is, too.
-- Loads are counted only where a limit makes them matter (D7).

-- name: unseat
-- Who stands on the rosters no more.
DELETE FROM seats WHERE open_channel_id = ANY(%(open_channel_ids)s) AND NOT EXISTS (
    SELECT FROM roster_entries AS entry
    LEFT JOIN department_members AS member ON member.department_id = entry.department_id
    WHERE entry.open_channel_id = seats.open_channel_id AND seats.operator_id IN (entry.operator_id, member.operator_id)
)
RETURNING open_channel_id, operator_id

-- name: seat
-- Departments stand for their members, each operator once, at his first place (D1).
INSERT INTO seats (open_channel_id, operator_id, position, turn, given)
SELECT
    listed.open_channel_id, listed.operator_id,
    row_number() OVER (PARTITION BY listed.open_channel_id ORDER BY listed.position, listed.member_position),
    open_channels.turn, open_channels.turn
FROM (
    SELECT DISTINCT ON (entry.open_channel_id, coalesce(entry.operator_id, member.operator_id))
        entry.open_channel_id, coalesce(entry.operator_id, member.operator_id) AS operator_id,
        entry.position, coalesce(member.position, 0) AS member_position
    FROM roster_entries AS entry LEFT JOIN department_members AS member ON member.department_id = entry.department_id
    WHERE entry.open_channel_id = ANY(%(open_channel_ids)s)
        AND coalesce(entry.operator_id, member.operator_id) IS NOT NULL
    ORDER BY entry.open_channel_id, coalesce(entry.operator_id, member.operator_id), entry.position, member.position
) AS listed
JOIN open_channels ON open_channels.id = listed.open_channel_id
ON CONFLICT (operator_id, open_channel_id) DO UPDATE SET position = excluded.position
WHERE seats.position <> excluded.position

-- name: count
UPDATE open_channels SET seats = counted.n
FROM (
    SELECT given.id, count(seats.operator_id) AS n
    FROM unnest(%(open_channel_ids)s::bigint[]) AS given (id) LEFT JOIN seats ON seats.open_channel_id = given.id
    GROUP BY given.id
) AS counted
WHERE open_channels.id = counted.id AND open_channels.seats <> counted.n

-- name: by_turn
SELECT
    seats.operator_id, seats.position, seats.turn, seats.given, seats.wakes, one.availability, one.personal_limit,
    CASE WHEN %(max_dialogs)s::integer IS NULL THEN 0 ELSE (
        SELECT count(*) FROM dialogs
        WHERE dialogs.operator_id = seats.operator_id AND dialogs.open_channel_id = %(open_channel_id)s
            AND dialogs.status <> 'closed'
            AND counts_against_limit(dialogs.status, dialogs.answered_at, %(counted)s)
    ) END,
    CASE WHEN one.personal_limit IS NULL THEN 0 ELSE (
        SELECT count(*) FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
        WHERE dialogs.operator_id = seats.operator_id AND dialogs.status <> 'closed' AND counts_against_limit(
            dialogs.status, dialogs.answered_at, coalesce(open_channels.settings ->> 'counted', 'all')
        )
    ) END
FROM (
    SELECT * FROM seats
    WHERE open_channel_id = %(open_channel_id)s AND (%(everybody)s OR NOT resting)
        AND (turn, position) > (%(after)s, %(place)s)
    ORDER BY turn, position LIMIT %(limit)s
) AS seats
JOIN operators_now AS one ON one.id = seats.operator_id
ORDER BY seats.turn, seats.position

-- name: by_given
SELECT
    seats.operator_id, seats.position, seats.turn, seats.given, seats.wakes, one.availability, one.personal_limit,
    CASE WHEN %(max_dialogs)s::integer IS NULL THEN 0 ELSE (
        SELECT count(*) FROM dialogs
        WHERE dialogs.operator_id = seats.operator_id AND dialogs.open_channel_id = %(open_channel_id)s
            AND dialogs.status <> 'closed'
            AND counts_against_limit(dialogs.status, dialogs.answered_at, %(counted)s)
    ) END,
    CASE WHEN one.personal_limit IS NULL THEN 0 ELSE (
        SELECT count(*) FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
        WHERE dialogs.operator_id = seats.operator_id AND dialogs.status <> 'closed' AND counts_against_limit(
            dialogs.status, dialogs.answered_at, coalesce(open_channels.settings ->> 'counted', 'all')
        )
    ) END
FROM (
    SELECT * FROM seats
    WHERE open_channel_id = %(open_channel_id)s AND (%(everybody)s OR NOT resting)
        AND (given, position) > (%(after)s, %(place)s)
    ORDER BY given, position LIMIT %(limit)s
) AS seats
JOIN operators_now AS one ON one.id = seats.operator_id
ORDER BY seats.given, seats.position

-- name: by_position
SELECT
    seats.operator_id, seats.position, seats.turn, seats.given, seats.wakes, one.availability, one.personal_limit,
    CASE WHEN %(max_dialogs)s::integer IS NULL THEN 0 ELSE (
        SELECT count(*) FROM dialogs
        WHERE dialogs.operator_id = seats.operator_id AND dialogs.open_channel_id = %(open_channel_id)s
            AND dialogs.status <> 'closed'
            AND counts_against_limit(dialogs.status, dialogs.answered_at, %(counted)s)
    ) END,
    CASE WHEN one.personal_limit IS NULL THEN 0 ELSE (
        SELECT count(*) FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
        WHERE dialogs.operator_id = seats.operator_id AND dialogs.status <> 'closed' AND counts_against_limit(
            dialogs.status, dialogs.answered_at, coalesce(open_channels.settings ->> 'counted', 'all')
        )
    ) END
FROM (
    SELECT * FROM seats
    WHERE open_channel_id = %(open_channel_id)s AND (%(everybody)s OR NOT resting)
        AND position > %(place)s AND %(after)s::bigint IS NOT NULL
    ORDER BY position LIMIT %(limit)s
) AS seats
JOIN operators_now AS one ON one.id = seats.operator_id
ORDER BY seats.position

-- name: some
SELECT
    one.id, coalesce(seats.position, -1), coalesce(seats.turn, 0), coalesce(seats.given, 0),
    coalesce(seats.wakes, 0), one.availability,
    one.personal_limit,
    CASE WHEN %(max_dialogs)s::integer IS NULL THEN 0 ELSE (
        SELECT count(*) FROM dialogs
        WHERE dialogs.operator_id = one.id AND dialogs.open_channel_id = %(open_channel_id)s
            AND dialogs.status <> 'closed'
            AND counts_against_limit(dialogs.status, dialogs.answered_at, %(counted)s)
    ) END,
    CASE WHEN one.personal_limit IS NULL THEN 0 ELSE (
        SELECT count(*) FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
        WHERE dialogs.operator_id = one.id AND dialogs.status <> 'closed' AND counts_against_limit(
            dialogs.status, dialogs.answered_at, coalesce(open_channels.settings ->> 'counted', 'all')
        )
    ) END
FROM operators_now AS one
LEFT JOIN seats ON seats.operator_id = one.id AND seats.open_channel_id = %(open_channel_id)s
WHERE one.id = ANY(%(operator_ids)s)

-- name: set_turns
UPDATE seats SET turn = new.turn, given = new.given
FROM unnest(%(operator_ids)s::bigint[], %(turns)s::bigint[], %(givens)s::bigint[]) AS new (operator_id, turn, given)
WHERE seats.open_channel_id = %(open_channel_id)s AND seats.operator_id = new.operator_id

-- name: rest
-- Unless something has changed since they were looked at.
UPDATE seats SET resting = true
FROM unnest(%(operator_ids)s::bigint[], %(wakes)s::bigint[]) AS seen (operator_id, wakes)
WHERE seats.open_channel_id = %(open_channel_id)s AND seats.operator_id = seen.operator_id
    AND seats.wakes = seen.wakes AND NOT seats.resting

-- name: wake
-- In the order of the open channels, as everybody who wakes somebody on several. Small rosters never rest.
UPDATE seats SET resting = false, wakes = wakes + 1
FROM (
    SELECT seats.operator_id, seats.open_channel_id FROM seats
    JOIN open_channels ON open_channels.id = seats.open_channel_id AND open_channels.seats > %(small)s
    WHERE seats.operator_id = ANY(%(operator_ids)s)
    ORDER BY seats.open_channel_id, seats.operator_id FOR NO KEY UPDATE OF seats
) AS locked
WHERE seats.operator_id = locked.operator_id AND seats.open_channel_id = locked.open_channel_id

-- name: wake_all
UPDATE seats SET resting = false, wakes = wakes + 1
FROM (
    SELECT operator_id, open_channel_id FROM seats
    WHERE open_channel_id = ANY(%(open_channel_ids)s) AND resting
    ORDER BY open_channel_id, operator_id FOR NO KEY UPDATE
) AS locked
WHERE seats.operator_id = locked.operator_id AND seats.open_channel_id = locked.open_channel_id

-- name: set_woken
UPDATE open_channels SET woken_at = now() WHERE id = ANY(%(open_channel_ids)s)

-- name: wake_slots
-- A personal limit counts over all open channels (D7). In the order of all who wake somebody.
UPDATE seats SET resting = false, wakes = wakes + 1
FROM (
    SELECT seats.operator_id, seats.open_channel_id
    FROM seats
    JOIN open_channels ON open_channels.id = seats.open_channel_id AND open_channels.seats > %(small)s
    WHERE EXISTS (
        SELECT FROM unnest(%(operator_ids)s::bigint[], %(open_channel_ids)s::bigint[]) AS given (id, place)
        JOIN operators ON operators.id = given.id
        WHERE given.id = seats.operator_id
            AND (operators.personal_limit IS NOT NULL OR given.place = seats.open_channel_id)
    ) AND seats.operator_id = ANY(%(operator_ids)s)
    ORDER BY seats.open_channel_id, seats.operator_id FOR NO KEY UPDATE OF seats
) AS locked
WHERE seats.operator_id = locked.operator_id AND seats.open_channel_id = locked.open_channel_id

-- name: places_of_slots
-- Where a freed slot counts: there, and with a personal limit wherever he sits, or somebody waits for him (D7, D9).
WITH given AS (
    SELECT id, place FROM unnest(%(operator_ids)s::bigint[], %(open_channel_ids)s::bigint[]) AS given (id, place)
), limited AS (
    SELECT id FROM operators WHERE id IN (SELECT id FROM given) AND personal_limit IS NOT NULL
)
SELECT place FROM given
UNION SELECT open_channel_id FROM seats WHERE operator_id IN (SELECT id FROM limited)
UNION SELECT open_channel_id FROM dialogs WHERE preferred_id IN (SELECT id FROM limited) AND status = 'queued'

-- What plans read and write. The open channel is locked by the caller.
-- Lock order: operators (by the caller), then dialogs by id.
--
-- Where the oldest of an open channel are read, the status stands BETWEEN itself and itself, and first in the order. After
-- an equality that order would be the primary key's too, and where most dialogs wait in another open channel, PostgreSQL
-- would read all of those on its way to these. `IN` says that the index of what waits has them all.

-- name: waiting
-- Oldest first (D8), as many as there may be free slots. They cease to wait only under the open channel's lock.
SELECT id, open_channel_id, status::text, operator_id, passed_by, first_assigned_at IS NULL, preferred_id, kept
FROM dialogs
WHERE open_channel_id = %(open_channel_id)s AND status IN ('queued', 'offered') AND status BETWEEN 'queued' AND 'queued'
ORDER BY dialogs.status, id LIMIT %(limit)s FOR NO KEY UPDATE

-- name: waiting_for
-- The oldest of those that prefer one of these people (D9).
SELECT preferring.*
FROM unnest(%(operator_ids)s::bigint[]) AS given (id)
CROSS JOIN LATERAL (
    SELECT id, open_channel_id, status::text, operator_id, passed_by, first_assigned_at IS NULL, preferred_id, kept
    FROM dialogs
    WHERE open_channel_id = %(open_channel_id)s AND status = 'queued' AND preferred_id BETWEEN given.id AND given.id
    ORDER BY dialogs.preferred_id, dialogs.id LIMIT %(limit)s
) AS preferring

-- name: preferred
-- Whom the waiting dialogs of an open channel prefer (D9), from one to the next along the index; and some others.
WITH RECURSIVE preferred (id) AS (
    SELECT min(preferred_id) FROM dialogs
    WHERE open_channel_id = %(open_channel_id)s AND status = 'queued' AND preferred_id IS NOT NULL
    UNION ALL
    SELECT (
        SELECT min(preferred_id) FROM dialogs
        WHERE open_channel_id = %(open_channel_id)s AND status = 'queued' AND preferred_id > preferred.id
    ) FROM preferred WHERE preferred.id IS NOT NULL
)
SELECT id FROM preferred WHERE id IS NOT NULL
UNION SELECT preferred_id FROM dialogs WHERE id = ANY(%(dialog_ids)s) AND preferred_id IS NOT NULL

-- name: count_waiting
SELECT count(*), count(first_assigned_at) FROM (
    SELECT first_assigned_at FROM dialogs
    WHERE open_channel_id = %(open_channel_id)s
        AND status IN ('queued', 'offered') AND status BETWEEN 'queued' AND 'queued'
    ORDER BY status, id LIMIT %(limit)s
) AS waiting

-- name: most_passed
-- How many operators have let one of these pass: the oldest of a backlog, and some others (D3).
SELECT coalesce(max(cardinality(passed_by)), 0) FROM (
    (
        SELECT passed_by FROM dialogs
        WHERE open_channel_id = %(open_channel_id)s
            AND status IN ('queued', 'offered') AND status BETWEEN 'queued' AND 'queued'
        ORDER BY status, id LIMIT %(limit)s
    )
    UNION ALL SELECT passed_by FROM dialogs WHERE id = ANY(%(dialog_ids)s)
) AS waiting

-- name: lock_assigned
-- What these dialogs are now, if somebody is to accept them: locked, for a hand-over (D5).
SELECT id, open_channel_id, status::text, operator_id, passed_by, first_assigned_at IS NULL, preferred_id, kept
FROM dialogs
WHERE id = ANY(%(dialog_ids)s) AND open_channel_id = %(open_channel_id)s AND status = 'assigned'
ORDER BY id FOR NO KEY UPDATE

-- name: waits_on
-- Counted, because of an EXISTS PostgreSQL would forget the order.
SELECT count(*) > 0 FROM (
    SELECT FROM dialogs
    WHERE open_channel_id = %(open_channel_id)s
        AND status IN ('queued', 'offered') AND status BETWEEN 'queued' AND 'queued'
    ORDER BY status, id LIMIT 1
) AS first

-- name: assign
-- Whoever gets it has neither accepted it nor been told that he keeps it.
UPDATE dialogs SET
    status = given.status, operator_id = given.operator_id, passed_by = given.passed_by, accepted_at = NULL,
    over_limit = false, kept = false, pinned = false,
    assigned_at = CASE WHEN given.operator_id IS NOT NULL THEN now() END,
    first_assigned_at = CASE
        WHEN given.operator_id IS NULL THEN dialogs.first_assigned_at ELSE coalesce(dialogs.first_assigned_at, now())
    END
FROM (
    SELECT id, status, operator_id, passed_by::bigint[] AS passed_by
    FROM unnest(
        %(dialog_ids)s::bigint[], %(statuses)s::dialog_status[], %(operator_ids)s::bigint[], %(passed_by)s::text[]
    ) AS given (id, status, operator_id, passed_by)
) AS given
WHERE dialogs.id = given.id

-- name: keep
UPDATE dialogs SET kept = true WHERE id = ANY(%(dialog_ids)s)

-- name: insert_plan
INSERT INTO plans (open_channel_id, ineligible) VALUES (%(open_channel_id)s, %(ineligible)s) RETURNING id

-- name: insert_decisions
INSERT INTO decisions (dialog_id, rule, operator_id, candidates, unnamed, cause, over_limit, plan_id)
SELECT given.*, %(plan_id)s FROM unnest(
    %(dialog_ids)s::bigint[], %(rules)s::text[], %(operator_ids)s::bigint[], %(candidates)s::jsonb[],
    %(unnamed)s::jsonb[], %(causes)s::text[], %(over_limits)s::boolean[]
) AS given

-- Presence of operators (D6): operators_now says what is so, logged_availability what the log last said.
-- Lock order: operators by id, then what is handed back (returning.py), then timers.

-- name: lock
SELECT FROM operators WHERE id = %(operator_id)s FOR NO KEY UPDATE

-- name: present
SELECT availability, online, time_tracking, workday FROM operators_now WHERE id = %(operator_id)s

-- name: changed
-- Without a lock: who is to be looked at.
SELECT id FROM operators_now WHERE availability <> logged_availability ORDER BY id

-- name: lock_free
-- Whoever acts at this moment notes it himself.
SELECT id FROM operators WHERE id = ANY(%(operator_ids)s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED

-- name: note
-- Of locked operators.
UPDATE operators SET logged_availability = present.availability
FROM operators_now AS present
WHERE operators.id = ANY(%(operator_ids)s) AND present.id = operators.id
    AND present.availability <> operators.logged_availability
RETURNING operators.id, present.logged_availability, present.availability

-- name: set_away
UPDATE operators SET away = true, online = true, seen_at = now() WHERE id = %(operator_id)s

-- name: set_workday
UPDATE operators SET workday = %(workday)s WHERE id = %(operator_id)s

-- name: open_channels_of
-- On whose rosters they stand, and where dialogs wait that prefer them (D8, D9).
SELECT open_channel_id FROM seats WHERE operator_id = ANY(%(operator_ids)s)
UNION SELECT open_channel_id FROM dialogs WHERE preferred_id = ANY(%(operator_ids)s) AND status = 'queued'

-- name: stranded
-- Who holds what he should not (D11), and why: all that a dismissed one has; of one who has ended his workday, or is on a
-- leave of a day or more, what he has not accepted or not answered where availability counts at all.
SELECT id, cause FROM (
    SELECT id, CASE
        WHEN dismissed_at IS NOT NULL THEN 'dismissed'
        WHEN EXISTS (
            SELECT FROM leaves WHERE leaves.operator_id = operators.id AND from_at <= now() AND until_at > now()
                AND until_at - from_at >= interval '1 day'
        ) THEN 'on_leave'
        WHEN time_tracking AND workday = 'ended' THEN 'workday_ended'
    END AS cause
    FROM operators WHERE %(operator_id)s::bigint IS NULL OR id = %(operator_id)s::bigint
) AS gone
WHERE cause IS NOT NULL AND EXISTS (
    SELECT FROM dialogs WHERE dialogs.operator_id = gone.id AND status <> 'closed' AND (
        cause = 'dismissed' OR (
            status IN ('assigned', 'accepted', 'awaiting_operator')
            AND NOT EXISTS (
                SELECT FROM open_channels
                WHERE open_channels.id = dialogs.open_channel_id AND settings ->> 'check_availability' = 'false'
            )
        )
    )
)
ORDER BY id

-- name: insert_leave
INSERT INTO leaves (operator_id, from_at, until_at) VALUES (%(operator_id)s, %(from_at)s, %(until_at)s) RETURNING id

-- name: leave
SELECT id, operator_id, from_at, until_at, until_at <= now() FROM leaves WHERE id = %(leave_id)s

-- name: leaves_of
-- Those that are not over.
SELECT id, operator_id, from_at, until_at, false FROM leaves
WHERE operator_id = %(operator_id)s AND until_at > now() ORDER BY from_at, id

-- name: end_leave
-- One that has begun ends now.
UPDATE leaves SET until_at = now() WHERE id = %(leave_id)s AND from_at < now() AND until_at > now()

-- name: cancel_leave
DELETE FROM leaves WHERE id = %(leave_id)s AND from_at >= now()

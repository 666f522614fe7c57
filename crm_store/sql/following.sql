-- Following the event log. Read-only, without locks.

-- name: horizon
-- Every transaction below it has ended.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text, now()

-- name: page
-- What comes after a position, and the horizon up to which it is complete: both of one snapshot, so that nothing that
-- commits late is passed by. One row without an event if there is none.
SELECT
    horizon.xid::text, horizon.at,
    page.xid::text, page.id, page.at, page.dialog_id, page.open_channel_id, page.actor, page.cause,
    page.was, page.became, page.was_operator_id, page.operator_id, page.details
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xid, now() AS at) AS horizon
LEFT JOIN LATERAL (
    SELECT events.* FROM events
    WHERE (events.xid, events.id) > (%(xid)s::xid8, %(id)s::bigint) AND events.xid < horizon.xid
    ORDER BY events.xid, events.id LIMIT %(limit)s
) AS page ON true
ORDER BY page.xid, page.id

-- name: followers
-- Who has these tokens, of those who were not dismissed.
SELECT token_hash, id, role, scope FROM operators
WHERE token_hash = ANY(%(token_hashes)s::bytea[]) AND dismissed_at IS NULL

-- name: rosters
SELECT operator_id, open_channel_id FROM seats WHERE operator_id = ANY(%(operator_ids)s)

-- name: members
-- Those of the departments that somebody supervises.
SELECT supervisors.operator_id, members.operator_id
FROM department_supervisors AS supervisors JOIN department_members AS members USING (department_id)
WHERE supervisors.operator_id = ANY(%(operator_ids)s)

-- name: members_rosters
SELECT DISTINCT supervisors.operator_id, seats.open_channel_id
FROM department_supervisors AS supervisors
JOIN department_members AS members USING (department_id)
JOIN seats ON seats.operator_id = members.operator_id
WHERE supervisors.operator_id = ANY(%(operator_ids)s)

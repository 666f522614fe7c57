-- What administrators change: open channels, rosters, departments, operators, channels.
-- Lock order: the administrators' own lock, open channels by id, operators by id, then channels.

-- name: take_turn
-- One administrator at a time: what one of them has read stays true until he commits. Presence is not concerned.
SELECT pg_advisory_xact_lock(hashtextextended('openchannel administration', 0))

-- name: operators
SELECT
    id, name, personal_limit, token_hash, dismissed_at IS NOT NULL, role, scope, time_tracking, availability
FROM operators_now ORDER BY id

-- name: departments
SELECT
    departments.id, departments.name,
    coalesce(array_agg(operator_id ORDER BY position) FILTER (WHERE operator_id IS NOT NULL), '{}'),
    array(SELECT operator_id FROM department_supervisors WHERE department_id = departments.id ORDER BY operator_id)
FROM departments LEFT JOIN department_members ON department_members.department_id = departments.id
GROUP BY departments.id ORDER BY departments.id

-- name: open_channels
SELECT id, name, active, settings::text FROM open_channels ORDER BY id

-- name: rosters
SELECT open_channel_id, operator_id, department_id FROM roster_entries ORDER BY open_channel_id, position

-- name: channels
SELECT id, key, kind, name, open_channel_id, account_id, region, secrets, config, active FROM channels ORDER BY id

-- name: write_open_channel
INSERT INTO open_channels (name, active, settings) VALUES (%(name)s, %(active)s, %(settings)s)
ON CONFLICT (name) DO UPDATE SET active = excluded.active, settings = excluded.settings
RETURNING id

-- name: write_operator
-- A dismissed operator is gone, and nobody may act with his token.
INSERT INTO operators (name, personal_limit, token_hash, dismissed_at, role, scope, time_tracking)
VALUES (
    %(name)s, %(personal_limit)s, %(token_hash)s, CASE WHEN %(dismissed)s THEN now() END, %(role)s, %(scope)s,
    %(time_tracking)s
)
ON CONFLICT (name) DO UPDATE SET
    role = excluded.role, scope = excluded.scope, time_tracking = excluded.time_tracking,
    personal_limit = excluded.personal_limit, token_hash = excluded.token_hash,
    dismissed_at = CASE WHEN %(dismissed)s THEN coalesce(operators.dismissed_at, now()) END,
    online = operators.online AND NOT %(dismissed)s
RETURNING id

-- name: remove_supervisors
DELETE FROM department_supervisors
WHERE department_id = %(department_id)s AND operator_id <> ALL(%(operator_ids)s::bigint[])

-- name: add_supervisors
INSERT INTO department_supervisors (department_id, operator_id)
SELECT %(department_id)s, unnest(%(operator_ids)s::bigint[])
ON CONFLICT DO NOTHING

-- name: dismiss
UPDATE operators SET dismissed_at = now(), token_hash = NULL, online = false
WHERE id = %(operator_id)s AND dismissed_at IS NULL

-- name: defer_kinds
-- Two channels of a kind may change places between two open channels.
SET CONSTRAINTS channels_one_of_a_kind DEFERRED

-- name: check_kinds
SET CONSTRAINTS channels_one_of_a_kind IMMEDIATE

-- name: write_channel
INSERT INTO channels (key, kind, name, open_channel_id, account_id, region, secrets, config, active)
VALUES (
    %(key)s, %(kind)s, %(name)s, %(open_channel_id)s, %(account_id)s, %(region)s, %(sealed)s, %(config)s, %(active)s
)
ON CONFLICT (key) DO UPDATE SET
    name = excluded.name, open_channel_id = excluded.open_channel_id, account_id = excluded.account_id,
    region = excluded.region, secrets = excluded.secrets, config = excluded.config, active = excluded.active

-- name: write_secrets
UPDATE channels SET secrets = %(sealed)s WHERE key = %(key)s

-- name: set_channel_active
UPDATE channels SET active = %(active)s WHERE key = %(key)s

-- name: no_more_offered
SELECT dialogs.id FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
WHERE open_channels.id = ANY(%(open_channel_ids)s) AND dialogs.status = 'offered'
    AND coalesce(open_channels.settings ->> 'distribution', 'evenly') <> 'all'
ORDER BY dialogs.id

-- name: waiting_anywhere
SELECT DISTINCT open_channel_id FROM dialogs WHERE status = 'queued'

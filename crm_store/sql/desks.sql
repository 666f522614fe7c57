-- Open channels, rosters, operators, channels.
-- Lock order: open channels by id, then operators by id.

-- name: all_channels
SELECT
    channels.id, key, kind, channels.name, open_channel_id, account_id, region, secrets, config,
    channels.active
FROM channels

-- name: upsert_open_channel
INSERT INTO open_channels (name, settings) VALUES (%(name)s, %(settings)s)
ON CONFLICT (name) DO UPDATE SET settings = excluded.settings
RETURNING id

-- name: upsert_operator
INSERT INTO operators (name, token_hash, personal_limit) VALUES (%(name)s, %(token_hash)s, %(personal_limit)s)
ON CONFLICT (name) DO UPDATE SET token_hash = excluded.token_hash, personal_limit = excluded.personal_limit
RETURNING id

-- name: upsert_department
INSERT INTO departments (name) VALUES (%(name)s) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id

-- name: rosters_of_department
SELECT DISTINCT open_channel_id FROM roster_entries WHERE department_id = %(department_id)s ORDER BY 1

-- name: clear_department
DELETE FROM department_members WHERE department_id = %(department_id)s

-- name: insert_department_members
INSERT INTO department_members (department_id, position, operator_id)
SELECT %(department_id)s, position, operator_id
FROM unnest(%(operator_ids)s::bigint[]) WITH ORDINALITY AS given (operator_id, position)

-- name: upsert_channel
INSERT INTO channels (key, kind, name, open_channel_id, account_id, region, secrets, config)
VALUES (%(key)s, %(kind)s, %(name)s, %(open_channel_id)s, %(account_id)s, %(region)s, %(secrets)s, %(config)s)
ON CONFLICT (key) DO UPDATE SET
    name = excluded.name, open_channel_id = excluded.open_channel_id, account_id = excluded.account_id,
    region = excluded.region, secrets = excluded.secrets, config = excluded.config
RETURNING id

-- name: clear_roster
DELETE FROM roster_entries WHERE open_channel_id = %(open_channel_id)s

-- name: insert_roster
INSERT INTO roster_entries (open_channel_id, position, operator_id, department_id)
SELECT %(open_channel_id)s, position, operator_id, department_id
FROM unnest(%(operator_ids)s::bigint[], %(department_ids)s::bigint[])
    WITH ORDINALITY AS given (operator_id, department_id, position)

-- name: lock_open_channels
SELECT id, settings::text, turn, seats, active, woken_at < now() - interval '2 minutes' FROM open_channels WHERE id = ANY(%(open_channel_ids)s)
ORDER BY id FOR NO KEY UPDATE

-- name: lock_free_open_channels
SELECT id, settings::text, turn, seats, active, woken_at < now() - interval '2 minutes' FROM open_channels WHERE id = ANY(%(open_channel_ids)s)
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED

-- name: roster
-- The rosters with departments expanded (D1).
SELECT
    seats.open_channel_id, operators_now.id, availability = 'dismissed', availability = 'available',
    personal_limit, availability
FROM seats JOIN operators_now ON operators_now.id = seats.operator_id
WHERE seats.open_channel_id = ANY(%(open_channel_ids)s)
ORDER BY seats.open_channel_id, seats.position

-- name: first_active
-- The first of each roster who is not dismissed.
SELECT given.id, first.operator_id
FROM unnest(%(open_channel_ids)s::bigint[]) AS given (id)
CROSS JOIN LATERAL (
    SELECT seats.operator_id FROM seats JOIN operators ON operators.id = seats.operator_id
    WHERE seats.open_channel_id = given.id AND operators.dismissed_at IS NULL ORDER BY seats.position LIMIT 1
) AS first

-- name: lock_operators
SELECT id FROM operators WHERE id = ANY(%(operator_ids)s) ORDER BY id FOR NO KEY UPDATE

-- name: gone
SELECT id FROM operators_now
WHERE id = ANY(%(operator_ids)s) AND availability IN ('dismissed', 'on_leave', 'workday_not_started', 'offline')

-- name: set_open_channel_turn
UPDATE open_channels SET turn = %(turn)s WHERE id = %(open_channel_id)s

-- name: operator_by_token
SELECT id, name, role, scope FROM operators WHERE token_hash = %(token_hash)s AND dismissed_at IS NULL

-- name: set_online
UPDATE operators SET online = %(online)s, away = false, seen_at = now()
WHERE id = %(operator_id)s AND dismissed_at IS NULL

-- name: heartbeat
UPDATE operators SET seen_at = now() WHERE id = %(operator_id)s AND dismissed_at IS NULL AND online

-- name: settings_of
SELECT id, settings::text FROM open_channels WHERE id = ANY(%(open_channel_ids)s)

-- name: open_channels_of_operator
-- On whose rosters he stands, and where dialogs wait that prefer him (D9).
SELECT open_channel_id FROM seats WHERE operator_id = %(operator_id)s
UNION SELECT open_channel_id FROM dialogs WHERE preferred_id = %(operator_id)s AND status = 'queued'
ORDER BY 1

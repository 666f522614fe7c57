-- What `openchannel doctor` asks the server. Locks nothing.

-- name: server_settings
SELECT name, setting FROM pg_settings WHERE name IN (
    'server_version', 'server_version_num', 'fsync', 'full_page_writes', 'synchronous_commit', 'idle_session_timeout',
    'idle_in_transaction_session_timeout', 'max_connections'
)

-- name: connections
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'

-- name: has_sessions
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = %(name)s AND datname = current_database())

-- name: dead_letters
SELECT count(*), count(*) FILTER (WHERE died_at > now() - interval '1 day')
FROM dead_letters JOIN inbox_state USING (inbox_id) WHERE stage = 'dead'

-- name: deliveries
-- Not those that somebody has discarded.
SELECT state, count(*) FROM outbox
WHERE state IN ('failed', 'held')
    AND NOT EXISTS (SELECT FROM dead_letters WHERE outbox_id = outbox.id AND discarded_at IS NOT NULL)
GROUP BY state

-- name: waiting
SELECT open_channel_id, count(*) FROM dialogs WHERE status IN ('queued', 'offered') GROUP BY open_channel_id

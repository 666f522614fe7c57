-- The desk at a glance. Locks nothing.

-- name: cards
SELECT type::text, count(*) FROM cards WHERE live_id IS NULL GROUP BY type ORDER BY type

-- name: dialogs
SELECT status::text, count(*) FROM dialogs GROUP BY status ORDER BY status

-- name: deliveries
SELECT state, count(*) FROM outbox GROUP BY state ORDER BY state

-- name: operators
SELECT
    operators.name,
    operators.online AND coalesce(operators.seen_at > now() - %(heartbeat_limit)s * interval '1 second', false),
    coalesce(had.held, 0), coalesce(had.in_all, 0)
FROM operators
LEFT JOIN (
    SELECT operator_id, count(*) FILTER (WHERE status <> 'closed') AS held, count(*) AS in_all
    FROM dialogs WHERE operator_id IS NOT NULL GROUP BY operator_id
) AS had ON had.operator_id = operators.id
WHERE operators.dismissed_at IS NULL
ORDER BY operators.id LIMIT 100

-- name: changes
-- An operator's act names him, an act of the system the one who has the dialog now.
WITH latest AS (SELECT * FROM events WHERE dialog_id IS NOT NULL ORDER BY id DESC LIMIT %(latest)s)
SELECT
    latest.at, latest.dialog_id, open_channels.name, channels.kind, latest.actor, latest.cause, latest.became::text,
    coalesce(acting.name, holding.name, '')
FROM latest
JOIN dialogs ON dialogs.id = latest.dialog_id
JOIN open_channels ON open_channels.id = dialogs.open_channel_id
JOIN chats ON chats.id = dialogs.chat_id
JOIN channels ON channels.id = chats.channel_id
LEFT JOIN operators AS acting ON latest.actor = 'operator:' || acting.id
LEFT JOIN operators AS holding ON holding.id = dialogs.operator_id
ORDER BY latest.id DESC

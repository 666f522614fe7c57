-- Large things beside a stream: a long history, a flood into a chat, a backlog without operators.

-- name: history
-- The chat's past: n messages after the first one, over two years.
WITH chat AS (
    UPDATE chats SET last_seq = last_seq + %(n)s WHERE external_id = 'c-hot-0' RETURNING id, last_seq - %(n)s AS before
)
INSERT INTO messages (chat_id, seq, direction, kind, text, external_id, sent_at, received_at)
SELECT
    chat.id, chat.before + n, 'in', 'text', 'Message ' || n || ' of a customer who writes all the time', 'h-' || n, at, at
FROM chat
CROSS JOIN generate_series(1, %(n)s) AS n
CROSS JOIN LATERAL (SELECT now() - interval '730 days' * (1 - n::float8 / (%(n)s + 1)) AS at) AS said

-- name: flood
-- n more messages like the chat's first one, accepted at this moment, none of them hinted.
WITH first AS (
    SELECT inbox.*, state.chat_id
    FROM chats JOIN inbox_state AS state ON state.chat_id = chats.id JOIN inbox ON inbox.id = state.inbox_id
    WHERE chats.external_id = 'c-hot-0' ORDER BY inbox.id LIMIT 1
), numbered AS (
    SELECT nextval('inbox_id_seq') AS id, n FROM generate_series(1, %(n)s) AS n
), slices AS (
    INSERT INTO inbox (id, channel_id, received_at, message, digest, raw, headers)
    SELECT
        numbered.id, channel_id, now(), message || jsonb_build_object('external_id', 'f-' || n, 'key', 'f-' || n),
        digest, raw, headers
    FROM first, numbered
), states AS (
    INSERT INTO inbox_state (inbox_id, chat_id, stage, accepted_at)
    SELECT numbered.id, chat_id, 'crm_lookup', now() FROM first, numbered ORDER BY numbered.id
)
INSERT INTO ledger (outcome, n) SELECT 'accepted', count(*) FROM numbered

-- name: waiting
-- n dialogs without an operator, and of each operator of this open channel as many as he may have.
WITH chat AS (
    INSERT INTO chats (channel_id, external_id, last_seq)
    SELECT channels.id, 'waits-' || n, 1
    FROM channels, generate_series(1, %(n)s + (SELECT count(*) FROM seats WHERE open_channel_id = %(place)s)) AS n
    WHERE channels.open_channel_id = %(place)s
    RETURNING id
), numbered AS (
    SELECT id, row_number() OVER (ORDER BY id) AS n FROM chat
)
INSERT INTO dialogs (
    open_channel_id, chat_id, status, operator_id, assigned_at, first_assigned_at, accepted_at, created_at
)
SELECT
    %(place)s, numbered.id, CASE WHEN operator_id IS NULL THEN 'queued' ELSE 'accepted' END::dialog_status, operator_id,
    began, began, began, now()
FROM numbered
LEFT JOIN seats ON seats.open_channel_id = %(place)s AND seats.position = numbered.n
CROSS JOIN LATERAL (SELECT CASE WHEN operator_id IS NOT NULL THEN now() END AS began) AS held

-- name: online
UPDATE operators SET online = true, seen_at = now() + interval '1 day' WHERE name LIKE 'Hot operator %%'

-- Everything of one kind, page by page, in one statement each. Read-only, without locks.

-- name: inbox
-- The newest first. An id is given before its commit: a page may lack what commits later. LATERAL: one by one, so that no
-- plan reads the whole inbox for a page of it.
SELECT
    state.inbox_id, channels.key, inbox.kind, inbox.external_id, state.stage::text,
    state.reason, state.chat_id, state.chat_seq, state.accepted_at, state.finished_at, live.id, state.dialog_id
FROM (
    SELECT * FROM inbox_state WHERE inbox_id < coalesce(%(before)s::bigint, 9223372036854775807)
    ORDER BY inbox_id DESC LIMIT %(limit)s
) AS state
LEFT JOIN LATERAL (
    SELECT channel_id, message ->> 'kind' AS kind, message ->> 'external_id' AS external_id
    FROM inbox WHERE inbox.id = state.inbox_id OFFSET 0
) AS inbox ON true
LEFT JOIN channels ON channels.id = inbox.channel_id
LEFT JOIN cards ON cards.id = state.card_id
LEFT JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id) AND live.type <> 'provisional'
ORDER BY state.inbox_id DESC

-- name: chats
-- The newest first.
SELECT page.id, channels.key, page.external_id, page.name, live.id, page.created_at
FROM (
    SELECT * FROM chats WHERE id < coalesce(%(before)s::bigint, 9223372036854775807)
    ORDER BY id DESC LIMIT %(limit)s
) AS page
JOIN channels ON channels.id = page.channel_id
LEFT JOIN cards ON cards.id = page.card_id
LEFT JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id) AND live.type <> 'provisional'
ORDER BY page.id DESC

-- name: messages
-- Those of chats from one on, by chat and place.
SELECT
    chat_id, seq, direction, kind, text, external_id, inbox_id, dialog_id, operator_id, received_at, edited_at, deleted_at
FROM messages
WHERE (chat_id, seq) > (%(chat_id)s::bigint, %(seq)s::bigint)
ORDER BY chat_id, seq LIMIT %(limit)s

-- name: events
-- The newest first; those of presence are of no dialog.
SELECT id, at, dialog_id, open_channel_id, actor, cause, was::text, became::text, was_operator_id, operator_id
FROM events WHERE id < coalesce(%(before)s::bigint, 9223372036854775807)
ORDER BY id DESC LIMIT %(limit)s

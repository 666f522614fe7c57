-- Dialogs, their events, decisions and timers.
-- Lock order: open channels and operators are locked by the caller; then dialogs by id, timers, outbox.

-- name: open_of_chats
SELECT id, chat_id, status::text, operator_id FROM dialogs
WHERE chat_id = ANY(%(chat_ids)s) AND status <> 'closed'
ORDER BY id FOR NO KEY UPDATE

-- name: insert_dialogs
-- In the order given, which is the order in which they are served (D8).
WITH given AS (
    SELECT * FROM unnest(
        %(open_channel_ids)s::bigint[], %(chat_ids)s::bigint[], %(card_ids)s::bigint[], %(deal_ids)s::bigint[]
    ) WITH ORDINALITY AS given (open_channel_id, chat_id, card_id, deal_id, position)
    ORDER BY position
)
INSERT INTO dialogs (open_channel_id, chat_id, card_id, deal_id, status)
SELECT open_channel_id, chat_id, card_id, deal_id, 'queued' FROM given ORDER BY position
RETURNING id, chat_id

-- name: set_statuses
UPDATE dialogs SET status = given.status
FROM unnest(%(dialog_ids)s::bigint[], %(statuses)s::dialog_status[]) AS given (id, status)
WHERE dialogs.id = given.id

-- name: follow_cards
-- A dialog shows the card and the deal of its chat as they are now.
UPDATE dialogs SET card_id = given.card_id, deal_id = coalesce(given.deal_id, dialogs.deal_id)
FROM unnest(%(dialog_ids)s::bigint[], %(card_ids)s::bigint[], %(deal_ids)s::bigint[]) AS given (id, card_id, deal_id)
WHERE dialogs.id = given.id AND (dialogs.card_id, dialogs.deal_id)
    IS DISTINCT FROM (given.card_id, coalesce(given.deal_id, dialogs.deal_id))

-- name: waiting
-- Oldest first (D8), and only as many as there are free slots.
SELECT id, passed_by FROM dialogs
WHERE open_channel_id = %(open_channel_id)s AND status = 'queued'
ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE

-- name: waits_on
SELECT EXISTS (SELECT FROM dialogs WHERE open_channel_id = %(open_channel_id)s AND status = 'queued')

-- name: loads
-- Dialogs that count against the limits (D7): of this open channel, and of all.
SELECT
    dialogs.operator_id,
    count(*) FILTER (WHERE dialogs.open_channel_id = %(open_channel_id)s),
    count(*)
FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
WHERE dialogs.operator_id = ANY(%(operator_ids)s) AND dialogs.status <> 'closed'
    AND counts_against_limit(dialogs.status, dialogs.answered_at, coalesce(open_channels.settings ->> 'counted', 'all'))
GROUP BY dialogs.operator_id

-- name: assign
UPDATE dialogs SET
    status = given.status, operator_id = given.operator_id,
    assigned_at = CASE WHEN given.operator_id IS NOT NULL THEN now() END
FROM unnest(%(dialog_ids)s::bigint[], %(statuses)s::dialog_status[], %(operator_ids)s::bigint[])
    AS given (id, status, operator_id)
WHERE dialogs.id = given.id

-- name: insert_decisions
INSERT INTO decisions (dialog_id, rule, operator_id, candidates)
SELECT * FROM unnest(%(dialog_ids)s::bigint[], %(rules)s::text[], %(operator_ids)s::bigint[], %(candidates)s::jsonb[])

-- name: insert_events
INSERT INTO events (dialog_id, actor, cause, was, became)
SELECT * FROM unnest(
    %(dialog_ids)s::bigint[], %(actors)s::text[], %(causes)s::text[], %(was)s::dialog_status[],
    %(became)s::dialog_status[]
)

-- name: unnoticed
-- Dialogs that still wait and whose customers were not told so (D8).
SELECT dialogs.id, dialogs.chat_id FROM dialogs
WHERE id = ANY(%(dialog_ids)s) AND status = 'queued' AND noticed_at IS NULL
ORDER BY id FOR NO KEY UPDATE

-- name: mark_noticed
UPDATE dialogs SET noticed_at = now() WHERE id = ANY(%(dialog_ids)s)

-- name: peek
SELECT chat_id, open_channel_id FROM dialogs WHERE id = %(dialog_id)s

-- name: is_accepted
-- Changes only under the chat's lock.
SELECT accepted_at IS NOT NULL FROM dialogs WHERE id = %(dialog_id)s

-- name: last_of_chat
-- The open one, or else the last. Found by the card, of which there is an index.
SELECT id, operator_id FROM dialogs
WHERE card_id = %(card_id)s AND chat_id = %(chat_id)s ORDER BY status = 'closed', id DESC LIMIT 1

-- name: counts
-- Whether it counts against its operator's limits now (D7).
SELECT dialogs.status <> 'closed' AND counts_against_limit(
    dialogs.status, dialogs.answered_at, coalesce(open_channels.settings ->> 'counted', 'all')
)
FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
WHERE dialogs.id = %(dialog_id)s

-- name: lock_one
SELECT id, chat_id, open_channel_id, card_id, deal_id, status::text, operator_id, accepted_at
FROM dialogs WHERE id = %(dialog_id)s FOR NO KEY UPDATE

-- name: accept
UPDATE dialogs SET
    status = 'accepted', operator_id = %(operator_id)s, accepted_at = now(),
    assigned_at = coalesce(assigned_at, now())
WHERE id = %(dialog_id)s

-- name: answered
UPDATE dialogs SET
    status = 'awaiting_customer', answered_at = now(), accepted_at = coalesce(accepted_at, now())
WHERE id = %(dialog_id)s

-- name: close
UPDATE dialogs SET status = 'closed', closed_at = now() WHERE id = %(dialog_id)s

-- name: set_timers
-- An earlier deadline that is set already stays; the generation tells that somebody has set it since.
INSERT INTO timers (kind, open_channel_id, dialog_id, due_at)
SELECT %(kind)s, open_channel_id, 0, now() + %(seconds)s * interval '1 second'
FROM unnest(%(open_channel_ids)s::bigint[]) AS given (open_channel_id) ORDER BY open_channel_id
ON CONFLICT (kind, open_channel_id, dialog_id) DO UPDATE
SET due_at = least(timers.due_at, excluded.due_at), generation = timers.generation + 1

-- name: read_timers
SELECT open_channel_id, generation FROM timers
WHERE kind = %(kind)s AND open_channel_id = ANY(%(open_channel_ids)s) AND dialog_id = 0

-- name: clear_timers
-- Unless they were set anew since they were read.
DELETE FROM timers USING unnest(%(open_channel_ids)s::bigint[], %(generations)s::bigint[]) AS given (id, generation)
WHERE kind = %(kind)s AND open_channel_id = given.id AND dialog_id = 0 AND timers.generation = given.generation

-- name: postpone_timer
UPDATE timers SET due_at = now() + %(seconds)s * interval '1 second', generation = generation + 1
WHERE kind = %(kind)s AND open_channel_id = %(open_channel_id)s AND dialog_id = 0

-- name: due_timers
SELECT open_channel_id FROM timers WHERE kind = %(kind)s AND due_at <= now() ORDER BY due_at LIMIT %(limit)s

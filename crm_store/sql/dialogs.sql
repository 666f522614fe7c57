-- Dialogs, and the decisions about them.
-- Lock order: open channels and operators are locked by the caller; then dialogs by id, timers, outbox.

-- name: open_of_chats
SELECT
    id, chat_id, open_channel_id, card_id, deal_id, status::text, operator_id, passed_by, accepted_at, answered_at,
    pinned, spam, transferred, awaits_customer
FROM dialogs WHERE chat_id = ANY(%(chat_ids)s) AND status <> 'closed'
ORDER BY id FOR NO KEY UPDATE

-- name: insert_dialogs
-- In the order given, which is the order in which they are served (D8).
WITH given AS (
    SELECT * FROM unnest(
        %(open_channel_ids)s::bigint[], %(chat_ids)s::bigint[], %(card_ids)s::bigint[], %(deal_ids)s::bigint[],
        %(preferred_ids)s::bigint[]
    ) WITH ORDINALITY AS given (open_channel_id, chat_id, card_id, deal_id, preferred_id, position)
    ORDER BY position
)
INSERT INTO dialogs (open_channel_id, chat_id, card_id, deal_id, preferred_id, status)
SELECT open_channel_id, chat_id, card_id, deal_id, preferred_id, 'queued' FROM given ORDER BY position
RETURNING id, chat_id

-- name: heard_of
-- The customers wrote: they are awaited no more.
UPDATE dialogs SET status = given.status, awaits_customer = false
FROM unnest(%(dialog_ids)s::bigint[], %(statuses)s::dialog_status[]) AS given (id, status)
WHERE dialogs.id = given.id

-- name: mark_over_limit
-- Loads as they are by now, without locks: it is a mark, and decides nothing.
UPDATE dialogs SET over_limit = true
FROM open_channels, operators
WHERE dialogs.id = ANY(%(dialog_ids)s) AND open_channels.id = dialogs.open_channel_id
    AND operators.id = dialogs.operator_id AND (
        (open_channels.settings ->> 'max_dialogs')::integer < (
            SELECT count(*) FROM dialogs AS held
            WHERE held.operator_id = operators.id AND held.open_channel_id = open_channels.id
                AND held.status <> 'closed' AND counts_against_limit(
                    held.status, held.answered_at, coalesce(open_channels.settings ->> 'counted', 'all')
                )
        )
        OR operators.personal_limit < (
            SELECT count(*) FROM dialogs AS held JOIN open_channels AS places ON places.id = held.open_channel_id
            WHERE held.operator_id = operators.id AND held.status <> 'closed' AND counts_against_limit(
                held.status, held.answered_at, coalesce(places.settings ->> 'counted', 'all')
            )
        )
    )
RETURNING dialogs.id

-- name: follow_cards
-- A dialog shows the card and the deal of its chat as they are now.
UPDATE dialogs SET card_id = given.card_id, deal_id = coalesce(given.deal_id, dialogs.deal_id)
FROM unnest(%(dialog_ids)s::bigint[], %(card_ids)s::bigint[], %(deal_ids)s::bigint[]) AS given (id, card_id, deal_id)
WHERE dialogs.id = given.id AND (dialogs.card_id, dialogs.deal_id)
    IS DISTINCT FROM (given.card_id, coalesce(given.deal_id, dialogs.deal_id))

-- name: unnoticed
-- By their ids: as a text the status is nothing that an index of waiting dialogs could be read for.
SELECT id FROM dialogs WHERE id = ANY(%(dialog_ids)s) AND status::text = 'queued' AND noticed_at IS NULL

-- name: lock_unnoticed
-- Dialogs that still wait and whose customers were not told so (D8).
SELECT
    id, chat_id, open_channel_id, card_id, deal_id, status::text, operator_id, passed_by, accepted_at, answered_at,
    pinned, spam, transferred, awaits_customer
FROM dialogs WHERE id = ANY(%(dialog_ids)s) AND status::text = 'queued' AND noticed_at IS NULL
ORDER BY id FOR NO KEY UPDATE

-- name: mark_noticed
UPDATE dialogs SET noticed_at = now() WHERE id = ANY(%(dialog_ids)s)

-- name: peek
SELECT chat_id, open_channel_id FROM dialogs WHERE id = %(dialog_id)s

-- name: is_accepted
-- By whoever has it, and not to be accepted by another. It becomes so only under the chat's lock.
SELECT accepted_at IS NOT NULL AND NOT transferred FROM dialogs WHERE id = %(dialog_id)s

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

-- name: lock_some
SELECT
    id, chat_id, open_channel_id, card_id, deal_id, status::text, operator_id, passed_by, accepted_at, answered_at,
    pinned, spam, transferred, awaits_customer
FROM dialogs WHERE id = ANY(%(dialog_ids)s) ORDER BY id FOR NO KEY UPDATE

-- name: lock_held
-- All open dialogs of an operator, or those of some open channels, or of those that check availability.
SELECT
    id, chat_id, open_channel_id, card_id, deal_id, status::text, operator_id, passed_by, accepted_at, answered_at,
    pinned, spam, transferred, awaits_customer
FROM dialogs
WHERE operator_id = %(operator_id)s AND status <> 'closed'
    AND (%(open_channel_ids)s::bigint[] IS NULL OR open_channel_id = ANY(%(open_channel_ids)s::bigint[]))
    AND (NOT %(only_checked)s OR NOT EXISTS (
        SELECT FROM open_channels
        WHERE open_channels.id = dialogs.open_channel_id AND settings ->> 'check_availability' = 'false'
    ))
ORDER BY id FOR NO KEY UPDATE

-- name: has_open
SELECT EXISTS (SELECT FROM dialogs WHERE chat_id = %(chat_id)s AND status <> 'closed' AND id <> %(dialog_id)s)

-- name: hold
-- If we have spoken last, whoever had it then, the customer is awaited still (S1, S3).
-- Accepted, taken or reopened: this operator has it. Who had it already above a limit has it so still.
UPDATE dialogs SET
    status = CASE WHEN awaits_customer THEN 'awaiting_customer'::dialog_status ELSE 'accepted' END,
    operator_id = %(operator_id)s, accepted_at = now(),
    assigned_at = CASE WHEN operator_id = %(operator_id)s THEN coalesce(assigned_at, now()) ELSE now() END,
    first_assigned_at = coalesce(first_assigned_at, now()), kept = false,
    over_limit = %(over_limit)s OR (over_limit AND status <> 'closed' AND operator_id IS NOT DISTINCT FROM %(operator_id)s),
    pinned = pinned AND operator_id IS NOT DISTINCT FROM %(operator_id)s,
    transferred = false, spam = false, closed_at = NULL
WHERE id = %(dialog_id)s

-- name: hand_to
-- A person gives it to an operator (D10).
UPDATE dialogs SET
    status = 'assigned', operator_id = %(operator_id)s, passed_by = %(passed_by)s, accepted_at = NULL,
    assigned_at = now(), first_assigned_at = coalesce(first_assigned_at, now()), over_limit = %(over_limit)s,
    kept = false, pinned = false, transferred = true
WHERE id = %(dialog_id)s

-- name: queue
-- Back to the backlog, where it stands by its age.
UPDATE dialogs SET
    status = 'queued', operator_id = NULL, passed_by = given.passed_by, accepted_at = NULL, assigned_at = NULL,
    over_limit = false, kept = false, pinned = false, closed_at = NULL, spam = false
FROM (
    SELECT id, passed_by::bigint[] AS passed_by
    FROM unnest(%(dialog_ids)s::bigint[], %(passed_by)s::text[]) AS given (id, passed_by)
) AS given
WHERE dialogs.id = given.id

-- name: move
-- To the roster of another open channel (D10).
UPDATE dialogs SET open_channel_id = %(open_channel_id)s, transferred = true, preferred_id = NULL
WHERE id = %(dialog_id)s

-- name: mark_transferred
UPDATE dialogs SET transferred = true WHERE id = %(dialog_id)s

-- name: set_pinned
UPDATE dialogs SET pinned = %(pinned)s WHERE id = %(dialog_id)s

-- name: mark_unanswered
UPDATE dialogs SET unanswered_at = now() WHERE id = ANY(%(dialog_ids)s)

-- name: answered
UPDATE dialogs SET status = 'awaiting_customer', answered_at = now(), awaits_customer = true WHERE id = %(dialog_id)s

-- name: begin_closing
UPDATE dialogs SET status = 'closing', accepted_at = coalesce(accepted_at, now()) WHERE id = %(dialog_id)s

-- name: close_some
UPDATE dialogs SET status = 'closed', closed_at = now(), spam = spam OR %(spam)s WHERE id = ANY(%(dialog_ids)s)

-- name: peek_open
SELECT chat_id, id, open_channel_id, status::text, operator_id
FROM dialogs WHERE chat_id = ANY(%(chat_ids)s) AND status <> 'closed'

-- name: preferences
-- The responsible person of each chat's deal or card, if he once accepted a dialog of his (D9, C4).
SELECT chats.id, coalesce(deals.responsible_id, live.responsible_id)
FROM chats
LEFT JOIN cards ON cards.id = chats.card_id
LEFT JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id) AND live.responsible_by = 'acceptor'
LEFT JOIN cards AS deals ON deals.id = chats.deal_id AND deals.responsible_by = 'acceptor'
WHERE chats.id = ANY(%(chat_ids)s) AND coalesce(deals.responsible_id, live.responsible_id) IS NOT NULL

-- Erasing customers.
-- Lock order: one erase at a time, chats ascending, all identifiers (a table lock), cards, open channels, operators,
-- dialogs, timers, outbox; and last the lock that stops the accepting of messages, which those that hold it keep for
-- one commit and wait for none of the others with.

-- name: take_turn
SELECT pg_advisory_xact_lock(hashtextextended('openchannel erase', 0))

-- name: lock_chats
-- FOR UPDATE: steps pass them by, acts of operators wait.
SELECT id FROM chats WHERE id = ANY(%(chat_ids)s) ORDER BY id FOR UPDATE

-- name: lock_identifiers
-- The whole table, because rows go: a step that has made sure that its identifiers are there relies on them until its
-- commit. Reading goes on.
LOCK TABLE identifiers IN SHARE ROW EXCLUSIVE MODE

-- name: lock_cards
-- Live ones and deals; who holds a live card may change all that is merged into it. False: try again.
SELECT lock_live_cards(%(card_ids)s::bigint[])

-- name: desks_of
-- Open channels of the open dialogs; they never change.
SELECT DISTINCT open_channel_id FROM dialogs WHERE chat_id = ANY(%(chat_ids)s) AND status <> 'closed'

-- name: operators_of
-- Changes only under the open channels' or the chats' locks.
SELECT DISTINCT operator_id FROM dialogs
WHERE chat_id = ANY(%(chat_ids)s) AND status <> 'closed' AND operator_id IS NOT NULL

-- name: lock_dialogs
-- The customer's, and those of other chats that show one of his cards.
SELECT id, chat_id, open_channel_id, operator_id, status <> 'closed' FROM dialogs
WHERE chat_id = ANY(%(chat_ids)s) OR card_id = ANY(%(card_ids)s) OR deal_id = ANY(%(card_ids)s)
ORDER BY id FOR UPDATE

-- name: stop_accepting
SELECT pg_advisory_xact_lock(hashtextextended('openchannel accept', 0))

-- name: last_item
-- While no message is being accepted: every id up to it is committed.
SELECT coalesce(max(id), 0) FROM inbox

-- name: items
-- What is left in the inbox: pending, or accepted or finished since the sweep went by.
SELECT inbox_id FROM inbox_state WHERE inbox_id = ANY(%(left_ids)s::bigint[])
UNION
SELECT inbox_id FROM inbox_state WHERE chat_id = ANY(%(chat_ids)s) AND stage < 'done'
UNION
SELECT state.inbox_id FROM inbox_state AS state WHERE inbox_id > %(swept_to)s AND chat_id = ANY(%(chat_ids)s)
UNION
SELECT state.inbox_id FROM inbox_state AS state
JOIN inbox ON inbox.id = state.inbox_id
JOIN unnest(%(channel_ids)s::bigint[], %(addresses)s::text[]) AS his (channel_id, address)
    ON his.channel_id = inbox.channel_id AND his.address IN (inbox.message ->> 'chat_id', inbox.message ->> 'customer_id')
WHERE state.inbox_id > %(swept_to)s AND state.chat_id IS NULL

-- name: delete_items
-- By inbox id, as they stand when their locks are had: a failure may just be written down. Returns their stages.
WITH gone AS (
    DELETE FROM inbox_state WHERE inbox_id IN (
        SELECT inbox_id FROM inbox_state WHERE inbox_id = ANY(%(inbox_ids)s) ORDER BY inbox_id FOR UPDATE
    )
    RETURNING inbox_id, stage
)
SELECT inbox_id, stage::text FROM gone

-- name: delete_slices
DELETE FROM inbox WHERE id = ANY(%(inbox_ids)s)

-- name: delete_failures
DELETE FROM failures WHERE inbox_id = ANY(%(inbox_ids)s)

-- name: delete_dead_letters
DELETE FROM dead_letters WHERE inbox_id = ANY(%(inbox_ids)s)

-- name: thin_out
-- The oldest messages of a long history, ahead of the rest, so that no transaction becomes long.
WITH oldest AS (
    SELECT chat_id, seq FROM messages WHERE chat_id = %(chat_id)s ORDER BY seq LIMIT %(limit)s
), unsent AS (
    DELETE FROM outbox USING oldest WHERE outbox.chat_id = oldest.chat_id AND outbox.seq = oldest.seq
)
DELETE FROM messages USING oldest WHERE messages.chat_id = oldest.chat_id AND messages.seq = oldest.seq

-- name: long_histories
SELECT id FROM unnest(%(chat_ids)s::bigint[]) AS given (id)
WHERE EXISTS (SELECT FROM messages WHERE chat_id = given.id ORDER BY seq OFFSET %(limit)s LIMIT 1)
ORDER BY id

-- name: delete_outbox
DELETE FROM outbox WHERE chat_id = ANY(%(chat_ids)s)

-- name: delete_timers
DELETE FROM timers WHERE dialog_id = ANY(%(dialog_ids)s) AND dialog_id <> 0

-- name: delete_events
DELETE FROM events WHERE dialog_id = ANY(%(dialog_ids)s)

-- name: delete_decisions
DELETE FROM decisions WHERE dialog_id = ANY(%(dialog_ids)s)

-- name: delete_dialogs
DELETE FROM dialogs WHERE id = ANY(%(dialog_ids)s)

-- name: part_dialogs
-- Dialogs of others no longer show his cards, but their chats' own.
UPDATE dialogs SET card_id = cards.id, deal_id = CASE
    WHEN dialogs.deal_id <> ALL(%(card_ids)s) THEN dialogs.deal_id
END
FROM chats LEFT JOIN cards ON cards.id = chats.card_id AND cards.id <> ALL(%(card_ids)s)
WHERE dialogs.id = ANY(%(dialog_ids)s) AND chats.id = dialogs.chat_id

-- name: delete_messages
DELETE FROM messages WHERE chat_id = ANY(%(chat_ids)s)

-- name: delete_claims
DELETE FROM claims WHERE chat_id = ANY(%(chat_ids)s) OR (kind, key) IN (
    SELECT kind, key FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
)

-- name: delete_facts
-- His, and his identifiers on the cards of others.
DELETE FROM card_identifiers WHERE card_id = ANY(%(card_ids)s) OR (kind, key) IN (
    SELECT kind, key FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
)

-- name: delete_detached
DELETE FROM detached WHERE card_id = ANY(%(card_ids)s) OR (kind, key) IN (
    SELECT kind, key FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
)

-- name: delete_merges
DELETE FROM merges WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s)

-- name: delete_kept_apart
DELETE FROM kept_apart WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s)

-- name: delete_reviews
-- Also those of his identifiers alone.
DELETE FROM reviews
WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s) OR (card_id IS NULL AND (kind, key) IN (
    SELECT kind, key FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
))

-- name: strip_reviews
-- Pairs of others, which one of his identifiers had made.
UPDATE reviews SET key = '[erased]' FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
WHERE reviews.kind = given.kind AND reviews.key = given.key

-- name: strip_merges
-- What holds two cards of others together stays, without the identifier.
UPDATE merges SET kind = NULL, key = NULL FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
WHERE merges.kind = given.kind AND merges.key = given.key

-- name: strip_chats
-- Chats of others that one of his identifiers has bound stay where they are; deals of his cards are gone.
UPDATE chats SET
    bound_kind = CASE WHEN given.key IS NULL THEN chats.bound_kind END,
    bound_key = CASE WHEN given.key IS NULL THEN chats.bound_key END,
    deal_id = CASE WHEN chats.deal_id <> ALL(%(card_ids)s) THEN chats.deal_id END
FROM chats AS other
LEFT JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
    ON given.kind = other.bound_kind AND given.key = other.bound_key
WHERE other.id = chats.id AND other.id = ANY(%(other_ids)s)

-- name: touched_chats
-- Chats of others that were bound by one of his identifiers, or belong to a deal of his.
SELECT id FROM chats WHERE deal_id = ANY(%(card_ids)s) AND id <> ALL(%(chat_ids)s::bigint[])
UNION
SELECT chats.id FROM card_identifiers AS facts
JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)
JOIN chats ON chats.id = facts.chat_id
WHERE (chats.bound_kind, chats.bound_key) = (facts.kind, facts.key) AND chats.id <> ALL(%(chat_ids)s::bigint[])

-- name: delete_chats
DELETE FROM chats WHERE id = ANY(%(chat_ids)s)

-- name: delete_identifiers
-- With what was remembered and decided about them. Of the customer's other ones those that stand nowhere any more.
DELETE FROM identifiers USING unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
WHERE identifiers.kind = given.kind AND identifiers.key = given.key

-- name: forget_cards
-- Identifiers that are not his alone stay, and do not remember him.
UPDATE identifiers SET remembered_card_id = NULL WHERE remembered_card_id = ANY(%(card_ids)s)

-- name: delete_cards
DELETE FROM cards WHERE id = ANY(%(card_ids)s)

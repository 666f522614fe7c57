-- What persons decide about customers (T5, T7-T9), and the lists of what was decided.
-- Lock order: chats, identifiers by (kind, key), live cards by id, reviews. The lists lock nothing.

-- Deciding -------------------------------------------------------------------------------------------------------

-- name: merge
SELECT card_id, other_id, undone_at IS NOT NULL FROM merges WHERE id = %(merge_id)s

-- name: keep_apart
INSERT INTO kept_apart (card_id, other_id, actor, reason)
VALUES (least(%(card_id)s, %(other_id)s), greatest(%(card_id)s, %(other_id)s), %(actor)s, %(reason)s)
ON CONFLICT DO NOTHING

-- name: stop_keeping_apart
DELETE FROM kept_apart
WHERE (card_id = ANY(%(card_ids)s) AND other_id = ANY(%(other_ids)s))
    OR (card_id = ANY(%(other_ids)s) AND other_id = ANY(%(card_ids)s))

-- name: delete_facts
DELETE FROM card_identifiers WHERE card_id = ANY(%(card_ids)s) AND kind = %(kind)s AND key = %(key)s
RETURNING card_id

-- name: forget_phone
-- Only a detach releases a remembered phone (T5).
UPDATE identifiers SET remembered_card_id = NULL
WHERE kind = %(kind)s AND key = %(key)s AND remembered_card_id = ANY(%(card_ids)s)
RETURNING remembered_card_id

-- name: detach
INSERT INTO detached (card_id, kind, key, actor, reason)
SELECT card_id, %(kind)s, %(key)s, %(actor)s, %(reason)s FROM unnest(%(card_ids)s::bigint[]) AS given (card_id)
ON CONFLICT DO NOTHING

-- name: attach
DELETE FROM detached WHERE card_id = ANY(%(card_ids)s) AND kind = %(kind)s AND key = %(key)s

-- name: enter_fact
-- What a person enters on a card.
INSERT INTO card_identifiers (card_id, kind, key, value, written, evidence, given_at, given_by, rule)
VALUES (%(card_id)s, %(kind)s, %(key)s, %(value)s, %(written)s, 'typed', now(), %(actor)s, 'person')
ON CONFLICT DO NOTHING

-- name: rename
UPDATE cards SET name = %(name)s, name_inbox_id = NULL WHERE id = %(card_id)s

-- name: mark_edited
UPDATE cards SET edited_at = now() WHERE id = ANY(%(card_ids)s)

-- name: lock_review
SELECT id, cause, card_id, other_id, kind, key, evidence::text, chat_id, inbox_id, state
FROM reviews WHERE id = %(review_id)s FOR NO KEY UPDATE

-- name: peek_review
SELECT card_id, other_id, kind, key FROM reviews WHERE id = %(review_id)s

-- name: decide_review
UPDATE reviews SET state = %(state)s, decided_at = now(), decided_by = %(actor)s, note = %(note)s
WHERE id = %(review_id)s

-- name: block_value
INSERT INTO blocked_values (kind, value, reason, actor) VALUES (%(kind)s, %(value)s, %(reason)s, %(actor)s)
ON CONFLICT DO NOTHING

-- name: unblock_value
DELETE FROM blocked_values WHERE kind = %(kind)s AND value = %(value)s

-- name: forget_claims
DELETE FROM claims WHERE kind = %(kind)s AND key = %(key)s

-- name: usual_again
-- Shared no more: it may match until too many contradict each other again (T9). What a person trusts stays trusted.
UPDATE identifiers SET standing = 'usual' WHERE kind = %(kind)s AND key = %(key)s AND standing = 'shared'

-- name: chat_place
SELECT card_id FROM chats WHERE id = %(chat_id)s

-- name: whole_customer
-- All chats and identifiers of the customer to whom a card belongs. Locks nothing.
SELECT
    ARRAY(SELECT chats.id FROM chats WHERE chats.card_id = ANY(same.ids)),
    ARRAY(SELECT DISTINCT kind || ' ' || key FROM card_identifiers WHERE card_id = ANY(same.ids))
FROM (
    SELECT array_agg(same.id) AS ids
    FROM cards JOIN cards AS same ON coalesce(same.live_id, same.id) = coalesce(cards.live_id, cards.id)
    WHERE cards.id = %(card_id)s
) AS same

-- Lists ----------------------------------------------------------------------------------------------------------

-- name: merges
SELECT
    id, card_id, other_id, loser_id, survivor_id, rule, kind, key, evidence::text, nullif(chat_id, 0), inbox_id, actor,
    reason, merged_at, undone_at, undone_by, undo_reason
FROM merges
WHERE (%(card_ids)s::bigint[] IS NULL OR card_id = ANY(%(card_ids)s::bigint[])
        OR other_id = ANY(%(card_ids)s::bigint[]))
    AND (%(merge_id)s::bigint IS NULL OR id = %(merge_id)s::bigint)
    AND (%(before)s::bigint IS NULL OR id < %(before)s::bigint)
ORDER BY id DESC LIMIT %(limit)s

-- name: reviews
-- An open pair is settled when its two are one customer's meanwhile, or a person keeps their customers apart: then
-- there is nothing left to decide.
SELECT
    asked.id, cause, asked.card_id, asked.other_id, one.id, other.id, kind, key, evidence::text, asked.chat_id,
    inbox_id, asked.created_at, state, decided_at, decided_by, note, settled
FROM reviews AS asked
LEFT JOIN cards AS own ON own.id = asked.card_id
LEFT JOIN cards AS others ON others.id = asked.other_id
LEFT JOIN cards AS one ON one.id = coalesce(own.live_id, own.id)
LEFT JOIN cards AS other ON other.id = coalesce(others.live_id, others.id)
CROSS JOIN LATERAL (
    SELECT state = 'open' AND asked.card_id IS NOT NULL AND (one.id = other.id OR EXISTS (
        SELECT FROM cards AS mine
        JOIN kept_apart AS apart ON apart.card_id = mine.id OR apart.other_id = mine.id
        JOIN cards AS theirs ON theirs.id = apart.card_id + apart.other_id - mine.id
        WHERE (mine.id = one.id OR mine.live_id = one.id) AND coalesce(theirs.live_id, theirs.id) = other.id
    )) AS settled
) AS now
WHERE (%(state)s::text IS NULL OR state = %(state)s::text)
    AND (%(cause)s::text IS NULL OR cause = %(cause)s::text)
    AND (%(review_id)s::bigint IS NULL OR asked.id = %(review_id)s::bigint)
    AND (%(card_ids)s::bigint[] IS NULL OR asked.id IN (
        SELECT id FROM reviews WHERE card_id = ANY(%(card_ids)s::bigint[])
        UNION ALL SELECT id FROM reviews WHERE other_id = ANY(%(card_ids)s::bigint[])
        UNION ALL SELECT shared.id
        FROM card_identifiers AS present JOIN reviews AS shared USING (kind, key)
        WHERE present.card_id = ANY(%(card_ids)s::bigint[]) AND shared.card_id IS NULL
    ))
    AND (%(before)s::bigint IS NULL OR asked.id < %(before)s::bigint)
    AND (%(with_settled)s OR NOT settled)
ORDER BY asked.id DESC LIMIT %(limit)s

-- name: messages_of
-- Where the messages stand in their chats' histories.
SELECT state.inbox_id, state.chat_id, state.chat_seq, messages.sent_at
FROM inbox_state AS state
JOIN messages ON messages.chat_id = state.chat_id AND messages.seq = state.chat_seq
WHERE state.inbox_id = ANY(%(inbox_ids)s)

-- name: blocked
SELECT kind, value, reason, actor, at FROM blocked_values
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s::text) AND (%(value)s::text IS NULL OR value = %(value)s::text)
ORDER BY kind DESC, value

-- name: audit
SELECT id, at, actor, act, outcome, details FROM audit
WHERE (%(act)s::text IS NULL OR act = %(act)s::text)
    AND (%(actor)s::text IS NULL OR actor = %(actor)s::text)
    AND (%(since)s::timestamptz IS NULL OR at >= %(since)s::timestamptz)
    AND (%(before)s::bigint IS NULL OR id < %(before)s::bigint)
ORDER BY id DESC LIMIT %(limit)s

-- name: audit_naming
-- Entries about one of these, each as `card_id 12`.
SELECT id, at, actor, act, outcome, details FROM audit WHERE named_in(details) && %(named)s::text[] ORDER BY id

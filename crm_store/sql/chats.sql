-- Chats and their history.
-- Lock order: the chats themselves are locked by the claim or by the act that calls these.

-- name: contexts
-- A chat with its channel and open channel, the card that it is bound to, and the live one. The settings, which are long,
-- come with the first chat of each channel alone.
SELECT
    chats.id, chats.external_id, chats.customer_id, cards.id, coalesce(cards.live_id, cards.id), chats.deal_id,
    chats.last_seq,
    channels.id, channels.kind, channels.name, channels.region,
    open_channels.id, open_channels.active,
    CASE WHEN row_number() OVER (PARTITION BY channels.id) = 1 THEN open_channels.settings::text END
FROM unnest(%(chat_ids)s::bigint[]) AS given (id)
JOIN chats ON chats.id = given.id
JOIN channels ON channels.id = chats.channel_id
JOIN open_channels ON open_channels.id = channels.open_channel_id
LEFT JOIN cards ON cards.id = chats.card_id

-- name: take_seqs
-- Reserve places in the histories; returns the last place taken in each.
UPDATE chats SET last_seq = last_seq + given.n
FROM unnest(%(chat_ids)s::bigint[], %(counts)s::bigint[]) AS given (id, n)
WHERE chats.id = given.id
RETURNING chats.id, chats.last_seq

-- name: bind
UPDATE chats SET
    card_id = given.card_id, bound_by = given.bound_by, bound_at = now(), bound_kind = given.kind,
    bound_key = given.key, bound_evidence = given.evidence, bound_inbox_id = given.inbox_id
FROM unnest(
    %(chat_ids)s::bigint[], %(card_ids)s::bigint[], %(bound_bys)s::text[], %(kinds)s::text[], %(keys)s::text[],
    %(evidences)s::evidence[], %(inbox_ids)s::bigint[]
) AS given (id, card_id, bound_by, kind, key, evidence, inbox_id)
WHERE chats.id = given.id

-- name: set_deals
UPDATE chats SET deal_id = given.deal_id
FROM unnest(%(chat_ids)s::bigint[], %(deal_ids)s::bigint[]) AS given (id, deal_id)
WHERE chats.id = given.id

-- name: append_inbound
-- Received when PostgreSQL accepted it, as our own messages are written by its clock: a card's history of several chats
-- is in the order of this time, and the clocks of web processes may differ.
INSERT INTO messages (
    chat_id, seq, direction, kind, text, attachments, external_id, reply_to, referral, inbox_id, sent_at, received_at
)
SELECT
    item.chat_id, item.chat_seq, 'in', said.kind, coalesce(said.text, ''), said.attachments,
    coalesce(said.external_id, ''), coalesce(said.reply_to, ''), coalesce(said.referral, ''), item.inbox_id,
    said.sent_at, item.accepted_at
FROM unnest(%(inbox_ids)s::bigint[]) AS given (inbox_id)
JOIN inbox_state AS item USING (inbox_id)
CROSS JOIN LATERAL (
    SELECT message FROM inbox WHERE inbox.id = item.inbox_id AND inbox.received_at = item.accepted_at OFFSET 0
) AS kept
CROSS JOIN LATERAL jsonb_to_record(kept.message) AS said (
    kind text, text text, attachments jsonb, external_id text, reply_to text, referral text, sent_at timestamptz
)

-- name: append_outbound
INSERT INTO messages (chat_id, seq, direction, kind, text, dialog_id, operator_id, sent_at, received_at)
SELECT chat_id, seq, 'out', 'text', text, dialog_id, operator_id, now(), now()
FROM unnest(
    %(chat_ids)s::bigint[], %(seqs)s::bigint[], %(texts)s::text[], %(dialog_ids)s::bigint[], %(operator_ids)s::bigint[]
) AS given (chat_id, seq, text, dialog_id, operator_id)

-- name: edit
UPDATE messages SET text = %(text)s, edited_at = %(at)s
WHERE chat_id = %(chat_id)s AND external_id = %(target)s AND external_id <> '' AND direction = 'in'

-- name: delete
-- Messages of ours have no external id so far: an event without a target must not find them all.
UPDATE messages SET deleted_at = %(at)s
WHERE chat_id = %(chat_id)s AND external_id = %(target)s AND external_id <> ''

-- name: react
UPDATE messages SET reactions = jsonb_set(coalesce(reactions, '{}'), ARRAY[%(customer_id)s::text], to_jsonb(%(text)s::text))
WHERE chat_id = %(chat_id)s AND external_id = %(target)s AND external_id <> ''

-- name: lock_one
SELECT id FROM chats WHERE id = %(chat_id)s FOR NO KEY UPDATE

-- name: lock_free
SELECT id FROM chats WHERE id = ANY(%(chat_ids)s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED

-- name: lock_now
SELECT id FROM chats WHERE id = ANY(%(chat_ids)s) ORDER BY id FOR NO KEY UPDATE NOWAIT

-- name: lock_all
SELECT id FROM chats WHERE id = ANY(%(chat_ids)s) ORDER BY id FOR NO KEY UPDATE

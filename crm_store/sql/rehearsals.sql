-- Rehearsals of replays: what they read, in transactions that are rolled back.
-- Lock order: as what they rehearse; the chats first, of which those that somebody has are passed by.

-- name: plan
-- Which chat each letter belongs to, where that is known; those that never came so far may be of one all the same.
SELECT letters.id, letters.inbox_id, coalesce(item.chat_id, delivery.chat_id) FROM dead_letters AS letters
LEFT JOIN inbox_state AS item ON item.inbox_id = letters.inbox_id
LEFT JOIN outbox AS delivery ON delivery.id = letters.outbox_id
WHERE letters.id = ANY(%(letter_ids)s)

-- name: chats_named
SELECT channel_id, external_id, id FROM chats
WHERE (channel_id, external_id) IN (
    SELECT * FROM unnest(%(channel_ids)s::bigint[], %(names)s::text[])
)

-- name: standing
SELECT stage::text, chat_id, chat_seq, card_id, dialog_id, reason FROM inbox_state WHERE inbox_id = %(inbox_id)s

-- name: last_death
SELECT step, reason, fingerprint, error FROM dead_letters WHERE id = %(letter_id)s

-- name: last_place
-- Of our own messages in a chat.
SELECT coalesce(max(seq), 0) FROM messages WHERE chat_id = %(chat_id)s AND direction = 'out'

-- name: said
-- What would go out to the customer after this place.
SELECT messages.text FROM messages JOIN outbox USING (chat_id, seq)
WHERE chat_id = %(chat_id)s AND seq > %(after)s AND outbox.state IN ('pending', 'held') ORDER BY seq

-- name: cards_of
-- The live card of a chat, and its deal; nobody sees a provisional one.
SELECT cards.id, cards.type::text
FROM chats
JOIN cards AS bound ON bound.id = chats.card_id
JOIN cards ON cards.id IN (coalesce(bound.live_id, bound.id), chats.deal_id)
WHERE chats.id = %(chat_id)s AND cards.type <> 'provisional'
ORDER BY cards.type = 'deal'

-- name: merges_of
SELECT id, loser_id, survivor_id FROM merges WHERE inbox_id = %(inbox_id)s AND undone_at IS NULL ORDER BY id

-- name: delivery
SELECT channels.key, messages.text, outbox.dialog_id, outbox.idempotency_key
FROM dead_letters AS letters
JOIN outbox ON outbox.id = letters.outbox_id
JOIN channels ON channels.id = outbox.channel_id
JOIN messages ON messages.chat_id = outbox.chat_id AND messages.seq = outbox.seq
WHERE letters.id = %(letter_id)s

-- name: there
-- Which of these are there outside of the rehearsal.
SELECT 'card', id FROM cards WHERE id = ANY(%(cards)s)
UNION ALL SELECT 'dialog', id FROM dialogs WHERE id = ANY(%(dialogs)s)
UNION ALL SELECT 'merge', id FROM merges WHERE id = ANY(%(merges)s)

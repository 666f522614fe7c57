-- Customers: whole families of cards that are joined by merges, their deals and their chats. Locks nothing.

-- name: with_identifiers
-- Live cards of the customers on whose cards these identifiers stand, or who are remembered by them (T5).
SELECT DISTINCT coalesce(holders.live_id, holders.id)
FROM (
    SELECT card_id FROM card_identifiers
    JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)
    UNION ALL
    SELECT remembered_card_id FROM identifiers
    JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)
) AS owner
JOIN cards ON cards.id = owner.card_id
JOIN cards AS holders ON holders.id = coalesce(cards.contact_id, cards.id)
ORDER BY 1

-- name: with_cards
-- Live cards of these cards; a deal's is its contact's.
SELECT DISTINCT coalesce(holders.live_id, holders.id)
FROM cards JOIN cards AS holders ON holders.id = coalesce(cards.contact_id, cards.id)
WHERE cards.id = ANY(%(card_ids)s)
ORDER BY 1

-- name: cards
-- The live cards, those that were merged into them, and all their deals.
WITH joined AS (
    SELECT id FROM cards WHERE id = ANY(%(live_ids)s)
    UNION
    SELECT id FROM cards WHERE live_id = ANY(%(live_ids)s)
)
SELECT id FROM joined
UNION
SELECT cards.id FROM cards JOIN joined ON cards.contact_id = joined.id
ORDER BY 1

-- name: family
-- The live cards and those that were merged into them, and whether each of the former still lives.
SELECT id FROM cards WHERE (id = ANY(%(live_ids)s) AND live_id IS NULL) OR live_id = ANY(%(live_ids)s)

-- name: chats
SELECT id, channel_id, external_id, customer_id FROM chats
WHERE card_id = ANY(%(card_ids)s) OR (id = ANY(%(unbound)s::bigint[]) AND card_id IS NULL)
ORDER BY id

-- name: addresses
SELECT id, card_id, external_id, customer_id FROM chats
WHERE id > %(after)s AND card_id IS NOT NULL ORDER BY id LIMIT %(limit)s

-- name: identifiers
-- What stands on the cards, as written by whichever chat, and what they are remembered by.
SELECT kind, key, value FROM card_identifiers WHERE card_id = ANY(%(card_ids)s)
UNION
SELECT kind, key, key FROM identifiers WHERE remembered_card_id = ANY(%(card_ids)s)

-- name: shared
-- Identifiers that are nobody's, because too many claim them (T9).
SELECT kind, key FROM identifiers
JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)
WHERE standing = 'shared'

-- name: proven_by_others
SELECT DISTINCT kind, key FROM card_identifiers
JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)
WHERE evidence = 'proven' AND card_id <> ALL(%(card_ids)s::bigint[])

-- name: overview
-- The live cards, for a person to choose from.
SELECT
    cards.id, cards.type::text, cards.name, cards.created_at,
    (SELECT count(*) FROM cards AS merged WHERE merged.live_id = cards.id),
    (SELECT count(*) FROM chats JOIN cards AS own ON own.id = chats.card_id
     WHERE own.id = cards.id OR own.live_id = cards.id)
FROM cards WHERE cards.id = ANY(%(live_ids)s) ORDER BY cards.id

-- name: counts
-- What belongs to these cards and chats. Items of the inbox are counted as they are found: no index leads to them.
SELECT 'cards', cardinality(%(card_ids)s::bigint[])
UNION ALL SELECT 'card_identifiers', count(*) FROM card_identifiers WHERE card_id = ANY(%(card_ids)s)
UNION ALL SELECT 'remembered phones', count(*) FROM identifiers WHERE remembered_card_id = ANY(%(card_ids)s)
UNION ALL SELECT 'chats', cardinality(%(chat_ids)s::bigint[])
UNION ALL SELECT 'messages', count(*) FROM messages WHERE chat_id = ANY(%(chat_ids)s)
UNION ALL SELECT 'outbox', count(*) FROM outbox WHERE chat_id = ANY(%(chat_ids)s)
UNION ALL SELECT 'dialogs', count(*) FROM dialogs WHERE chat_id = ANY(%(chat_ids)s)
UNION ALL SELECT 'open dialogs', count(*) FROM dialogs WHERE chat_id = ANY(%(chat_ids)s) AND status <> 'closed'
UNION ALL SELECT 'pending inbox items', count(*) FROM inbox_state WHERE chat_id = ANY(%(chat_ids)s) AND stage < 'done'
UNION ALL SELECT 'claims', count(*) FROM claims WHERE chat_id = ANY(%(chat_ids)s)
UNION ALL SELECT 'merges', count(*) FROM merges WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s)
UNION ALL SELECT 'reviews', count(*) FROM reviews WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s)
UNION ALL SELECT 'kept_apart', count(*) FROM kept_apart WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s)
UNION ALL SELECT 'detached', count(*) FROM detached WHERE card_id = ANY(%(card_ids)s)

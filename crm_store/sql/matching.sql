-- What the tracker knows and decides: identifiers, facts, claims, merges, reviews.
-- Lock order: chats (held already), identifiers by (kind, key), live cards by id. Who holds a live card's lock may
-- change all cards of its customer, and what joins them.

-- name: ensure_identifiers
-- Sorted, so that two processes that insert the same ones never wait in a circle.
INSERT INTO identifiers (kind, key)
SELECT kind, key FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
ORDER BY kind COLLATE "C", key COLLATE "C"
ON CONFLICT DO NOTHING

-- name: lock_identifiers
-- In the same order. From here on nobody else decides about them. What is read is what the lock was waited for.
SELECT identifiers.kind, identifiers.key, remembered_card_id, standing FROM identifiers
JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)
ORDER BY identifiers.kind COLLATE "C", identifiers.key COLLATE "C"
FOR NO KEY UPDATE OF identifiers

-- name: owners
-- Cards on which these identifiers stand.
SELECT DISTINCT owner.card_id
FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
CROSS JOIN LATERAL (
    SELECT card_id FROM card_identifiers AS present
    WHERE present.kind = given.kind AND present.key = given.key OFFSET 0
) AS owner
JOIN cards ON cards.id = owner.card_id
WHERE cards.matched

-- name: candidates
-- Some live cards on which these identifiers stand, and those that remember them (T5); none for a shared one (T9).
-- Locks nothing.
SELECT DISTINCT known.kind, known.key, coalesce(cards.live_id, cards.id)
FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
JOIN identifiers AS known USING (kind, key)
CROSS JOIN LATERAL (
    SELECT known.remembered_card_id AS card_id
    UNION ALL (
        SELECT card_id FROM card_identifiers AS present
        WHERE present.kind = known.kind AND present.key = known.key LIMIT %(most)s
    )
    OFFSET 0
) AS owner
JOIN cards ON cards.id = owner.card_id
WHERE cards.matched AND known.standing <> 'shared'

-- name: lock_free_live_cards
-- The live cards of these, as far as they are free: nobody is waited for, so they need no order.
SELECT id FROM cards
WHERE live_id IS NULL AND id = ANY(ARRAY(SELECT coalesce(live_id, id) FROM cards WHERE id = ANY(%(card_ids)s)))
FOR NO KEY UPDATE SKIP LOCKED

-- name: lock_live_cards
-- One after the other, each waited for. False if one of them lives no more when its lock is had: then all have to be given back.
SELECT lock_live_cards(%(card_ids)s::bigint[])

-- name: customers
-- All cards of the customers to whom these cards belong.
SELECT
    cards.id, cards.type::text, cards.name, cards.created_at, coalesce(cards.live_id, cards.id), cards.matched,
    cards.made_by = 'tracker' AND cards.edited_at IS NULL,
    EXISTS (SELECT FROM identifiers WHERE remembered_card_id = cards.id)
FROM cards
WHERE id = ANY(%(live_ids)s) OR live_id = ANY(%(live_ids)s)

-- name: live_ids
SELECT id, coalesce(live_id, id) FROM cards WHERE id = ANY(%(card_ids)s)

-- name: facts_of
SELECT card_id, kind, key, chat_id, evidence::text FROM card_identifiers WHERE card_id = ANY(%(card_ids)s)

-- name: identifiers_of_customer
SELECT kind, key, value, written, evidence
FROM (
    SELECT DISTINCT ON (kind, key) kind, key, value, written, evidence::text, given_at
    FROM card_identifiers
    WHERE card_id IN (
        SELECT same.id
        FROM cards JOIN cards AS same ON coalesce(same.live_id, same.id) = coalesce(cards.live_id, cards.id)
        WHERE cards.id = %(card_id)s
    )
    ORDER BY kind, key, card_identifiers.evidence, given_at
) AS strongest
ORDER BY given_at, kind, key

-- name: facts_of_chats
-- What these chats gave already, on the cards that they are bound to, and whether those have names.
SELECT chats.id, cards.id, cards.name <> '', present.kind, present.key, present.evidence::text
FROM chats
JOIN cards ON cards.id = chats.card_id
LEFT JOIN card_identifiers AS present ON present.card_id = cards.id AND present.chat_id = chats.id
WHERE chats.id = ANY(%(chat_ids)s)

-- name: parted
-- Pairs that a person keeps apart, and identifiers that a person took off a card.
SELECT card_id, other_id, NULL, NULL FROM kept_apart WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s)
UNION ALL
SELECT card_id, NULL, kind, key FROM detached WHERE card_id = ANY(%(card_ids)s)

-- name: claims
SELECT claims.kind, claims.key, channel_kind, name, customer_id, chat_id, inbox_id
FROM claims JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)

-- name: add_facts
-- Stronger evidence replaces weaker; nothing else changes what is there (T4).
INSERT INTO card_identifiers (card_id, kind, key, chat_id, value, written, evidence, inbox_id, given_at, rule)
SELECT * FROM unnest(
    %(card_ids)s::bigint[], %(kinds)s::text[], %(keys)s::text[], %(chat_ids)s::bigint[], %(values)s::text[],
    %(writtens)s::text[], %(evidences)s::evidence[], %(inbox_ids)s::bigint[], %(given_ats)s::timestamptz[],
    %(rules)s::text[]
)
ON CONFLICT (card_id, kind, key, chat_id) DO UPDATE
SET evidence = excluded.evidence, written = excluded.written, value = excluded.value, inbox_id = excluded.inbox_id,
    given_at = excluded.given_at
WHERE excluded.evidence < card_identifiers.evidence

-- name: remember
UPDATE identifiers SET remembered_card_id = given.card_id
FROM unnest(%(kinds)s::text[], %(keys)s::text[], %(card_ids)s::bigint[]) AS given (kind, key, card_id)
WHERE identifiers.kind = given.kind AND identifiers.key = given.key AND remembered_card_id IS NULL

-- name: fill_names
UPDATE cards SET name = given.name, name_inbox_id = given.inbox_id
FROM unnest(%(card_ids)s::bigint[], %(names)s::text[], %(inbox_ids)s::bigint[]) AS given (id, name, inbox_id)
WHERE cards.id = given.id AND cards.name = ''

-- name: add_claims
INSERT INTO claims (kind, key, channel_kind, name, customer_id, chat_id, inbox_id)
SELECT * FROM unnest(
    %(kinds)s::text[], %(keys)s::text[], %(channel_kinds)s::text[], %(names)s::text[], %(customer_ids)s::text[],
    %(chat_ids)s::bigint[], %(inbox_ids)s::bigint[]
)
ON CONFLICT DO NOTHING

-- name: set_standing
UPDATE identifiers SET standing = %(standing)s
FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
WHERE identifiers.kind = given.kind AND identifiers.key = given.key

-- name: add_merges
INSERT INTO merges (
    card_id, other_id, loser_id, survivor_id, rule, kind, key, evidence, chat_id, inbox_id, actor, reason
)
SELECT * FROM unnest(
    %(card_ids)s::bigint[], %(other_ids)s::bigint[], %(loser_ids)s::bigint[], %(survivor_ids)s::bigint[],
    %(rules)s::text[], %(kinds)s::text[], %(keys)s::text[], %(evidences)s::evidence[], %(chat_ids)s::bigint[],
    %(inbox_ids)s::bigint[], %(actors)s::text[], %(reasons)s::text[]
)
RETURNING id

-- name: set_live
-- A live card points nowhere.
UPDATE cards SET live_id = nullif(given.live_id, given.id)
FROM unnest(%(card_ids)s::bigint[], %(live_ids)s::bigint[]) AS given (id, live_id)
WHERE cards.id = given.id AND cards.live_id IS DISTINCT FROM nullif(given.live_id, given.id)

-- name: add_reviews
-- One that is open already is not asked again.
INSERT INTO reviews (cause, card_id, other_id, kind, key, evidence, chat_id, inbox_id)
SELECT * FROM unnest(
    %(causes)s::text[], %(card_ids)s::bigint[], %(other_ids)s::bigint[], %(kinds)s::text[], %(keys)s::text[],
    %(evidences)s::evidence[], %(chat_ids)s::bigint[], %(inbox_ids)s::bigint[]
)
ON CONFLICT DO NOTHING

-- name: blocked_values
SELECT kind, value FROM blocked_values

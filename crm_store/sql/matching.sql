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
-- Live cards on which these identifiers stand, and those that remember them (T5). Locks nothing.
SELECT DISTINCT given.kind, given.key, coalesce(cards.live_id, cards.id)
FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
CROSS JOIN LATERAL (
    SELECT card_id FROM card_identifiers AS present
    WHERE present.kind = given.kind AND present.key = given.key
    UNION ALL
    SELECT remembered_card_id FROM identifiers
    WHERE identifiers.kind = given.kind AND identifiers.key = given.key AND remembered_card_id IS NOT NULL
    OFFSET 0
) AS owner
JOIN cards ON cards.id = owner.card_id
WHERE cards.matched

-- name: lock_live_cards
-- False if one of them lives no more when its lock is had: then all have to be given back.
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

-- name: active_merges
-- Between cards of one customer. What a person decided never gives way to a proof, whatever the link was (T8).
SELECT id, card_id, other_id, CASE WHEN rule <> 'person' THEN evidence::text END, kind, key FROM merges
WHERE (card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s)) AND undone_at IS NULL ORDER BY id

-- name: ages
SELECT id, type::text, created_at FROM cards WHERE id = ANY(%(card_ids)s)

-- name: undo_merge
UPDATE merges SET undone_at = now(), undone_by = %(actor)s, undo_reason = %(reason)s
WHERE id = %(merge_id)s AND undone_at IS NULL
RETURNING card_id, other_id, kind, key, evidence::text, chat_id, inbox_id

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

-- name: chats_of_cards
SELECT chats.id, chats.card_id, coalesce(chats.bound_evidence = 'typed', false), coalesce(cards.chat_id = chats.id, false)
FROM chats JOIN cards ON cards.id = chats.card_id
WHERE chats.card_id = ANY(%(card_ids)s)

-- name: link_of_chat
SELECT bound_kind, bound_key, bound_evidence::text, bound_inbox_id FROM chats WHERE id = %(chat_id)s

-- name: split_card
-- A card for chats that leave another: of the same kind, named and responsible as if it had been made for them.
INSERT INTO cards (id, type, name, open_channel_id, chat_id, source_id, responsible_id, responsible_by, name_inbox_id)
SELECT
    %(new_id)s, CASE WHEN cards.type IN ('contact', 'lead', 'provisional') THEN cards.type ELSE 'lead' END,
    first_chat.name, channels.open_channel_id, first_chat.id, cards.source_id, cards.responsible_id,
    CASE WHEN cards.responsible_by = 'nobody' THEN 'nobody' ELSE 'roster' END, NULL
FROM cards
JOIN chats AS first_chat ON first_chat.id = %(chat_id)s
JOIN channels ON channels.id = first_chat.channel_id
WHERE cards.id = %(card_id)s

-- name: rebind_chats
-- Their bindings are of their own from now on.
UPDATE chats SET
    card_id = %(new_id)s, bound_by = %(bound_by)s, bound_at = now(), bound_kind = NULL, bound_key = NULL,
    bound_evidence = NULL, bound_inbox_id = NULL
WHERE id = ANY(%(chat_ids)s)

-- name: move_facts
UPDATE card_identifiers SET card_id = %(new_id)s WHERE card_id = %(card_id)s AND chat_id = ANY(%(chat_ids)s)

-- name: move_memory
-- A first phone that only those who left had given (T5).
UPDATE identifiers SET remembered_card_id = %(new_id)s
WHERE remembered_card_id = %(card_id)s
    AND EXISTS (
        SELECT FROM card_identifiers AS present
        WHERE present.card_id = %(new_id)s AND present.kind = identifiers.kind AND present.key = identifiers.key
    )
    AND NOT EXISTS (
        SELECT FROM card_identifiers AS present
        WHERE present.card_id = %(card_id)s AND present.kind = identifiers.kind AND present.key = identifiers.key
    )

-- name: move_merges
-- Those by an identifier that only those who left had given. Splitting a card of a forest leaves a forest.
UPDATE merges SET
    card_id = CASE WHEN card_id = %(card_id)s THEN %(new_id)s ELSE card_id END,
    other_id = CASE WHEN other_id = %(card_id)s THEN %(new_id)s ELSE other_id END
WHERE (card_id = %(card_id)s OR other_id = %(card_id)s) AND undone_at IS NULL AND kind IS NOT NULL
    AND EXISTS (
        SELECT FROM card_identifiers AS present
        WHERE present.card_id = %(new_id)s AND present.kind = merges.kind AND present.key = merges.key
    )
    AND NOT EXISTS (
        SELECT FROM card_identifiers AS present
        WHERE present.card_id = %(card_id)s AND present.kind = merges.kind AND present.key = merges.key
    )

-- name: move_reviews
UPDATE reviews SET
    card_id = CASE WHEN card_id = %(card_id)s THEN %(new_id)s ELSE card_id END,
    other_id = CASE WHEN other_id = %(card_id)s THEN %(new_id)s ELSE other_id END
WHERE (card_id = %(card_id)s OR other_id = %(card_id)s) AND state = 'open'
    AND EXISTS (
        SELECT FROM card_identifiers AS present
        WHERE present.card_id = %(new_id)s AND present.kind = reviews.kind AND present.key = reviews.key
    )
    AND NOT EXISTS (
        SELECT FROM card_identifiers AS present
        WHERE present.card_id = %(card_id)s AND present.kind = reviews.kind AND present.key = reviews.key
    )

-- name: move_dialogs
UPDATE dialogs SET card_id = %(new_id)s WHERE chat_id = ANY(%(chat_ids)s) AND card_id = %(card_id)s

-- name: take_deals
-- A deal goes with the chats that it was made from, unless one that stays belongs to it too (C1).
UPDATE cards SET contact_id = %(new_id)s
WHERE contact_id = %(card_id)s AND type = 'deal' AND chat_id = ANY(%(chat_ids)s) AND NOT EXISTS (
    SELECT FROM chats WHERE chats.deal_id = cards.id AND chats.id <> ALL(%(chat_ids)s)
)

-- name: leave_deals
-- What stays is no deal of theirs any more; their next message gets them one where the open channel says so.
UPDATE chats SET deal_id = NULL
FROM cards AS deals
WHERE chats.id = ANY(%(chat_ids)s) AND deals.id = chats.deal_id AND deals.contact_id IS DISTINCT FROM %(new_id)s

-- name: leave_deals_of_dialogs
UPDATE dialogs SET deal_id = NULL
FROM cards AS deals
WHERE dialogs.chat_id = ANY(%(chat_ids)s) AND deals.id = dialogs.deal_id
    AND deals.contact_id IS DISTINCT FROM %(new_id)s

-- name: blocked_values
SELECT kind, value FROM blocked_values

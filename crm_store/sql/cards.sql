-- Cards and identifiers.
-- Lock order: chats (held already), identifiers by (kind, key), cards by id.

-- name: ensure_identifiers
-- Sorted, so that two processes that insert the same ones never wait in a circle.
INSERT INTO identifiers (kind, key)
SELECT kind, key FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
ORDER BY kind COLLATE "C", key COLLATE "C"
ON CONFLICT DO NOTHING

-- name: lock_identifiers
-- In the same order. From here on nobody else decides about them.
SELECT identifiers.kind FROM identifiers
JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)
ORDER BY identifiers.kind COLLATE "C", identifiers.key COLLATE "C"
FOR NO KEY UPDATE OF identifiers

-- name: owners
-- Live cards on which these identifiers stand, and those that remember them (T5).
SELECT given.kind, given.key, coalesce(cards.live_id, cards.id), owner.remembers
FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
CROSS JOIN LATERAL (
    SELECT card_id, false AS remembers FROM card_identifiers AS present
    WHERE present.kind = given.kind AND present.key = given.key
    UNION ALL
    SELECT remembered_card_id, true FROM identifiers
    WHERE identifiers.kind = given.kind AND identifiers.key = given.key AND remembered_card_id IS NOT NULL
    OFFSET 0
) AS owner
JOIN cards ON cards.id = owner.card_id
WHERE cards.matched

-- name: lock_cards
-- Read them in a statement of its own: this one's snapshot may be older than what it has waited for.
SELECT id FROM cards WHERE id = ANY(%(card_ids)s) ORDER BY id FOR NO KEY UPDATE

-- name: read_cards
SELECT
    id, type::text, name, created_at,
    EXISTS (SELECT FROM identifiers WHERE remembered_card_id = cards.id)
FROM cards WHERE id = ANY(%(card_ids)s)

-- name: identifiers_of
SELECT card_id, kind, key, evidence::text FROM card_identifiers WHERE card_id = ANY(%(card_ids)s)

-- name: new_ids
SELECT nextval('cards_id_seq') FROM generate_series(1, %(n)s)

-- name: insert_cards
INSERT INTO cards (id, type, name, open_channel_id, chat_id, matched)
SELECT id, 'provisional', name, open_channel_id, chat_id, matched
FROM unnest(
    %(ids)s::bigint[], %(names)s::text[], %(open_channel_ids)s::bigint[], %(chat_ids)s::bigint[], %(matched)s::boolean[]
) AS given (id, name, open_channel_id, chat_id, matched)

-- name: add_identifiers
-- Stronger evidence replaces weaker; nothing else changes what is there (T4).
INSERT INTO card_identifiers (card_id, kind, key, value, written, evidence, inbox_id, given_at)
SELECT * FROM unnest(
    %(card_ids)s::bigint[], %(kinds)s::text[], %(keys)s::text[], %(values)s::text[], %(writtens)s::text[],
    %(evidences)s::evidence[], %(inbox_ids)s::bigint[], %(given_ats)s::timestamptz[]
)
ON CONFLICT (card_id, kind, key) DO UPDATE
SET evidence = excluded.evidence, inbox_id = excluded.inbox_id, given_at = excluded.given_at
WHERE excluded.evidence < card_identifiers.evidence

-- name: remember
UPDATE identifiers SET remembered_card_id = given.card_id
FROM unnest(%(kinds)s::text[], %(keys)s::text[], %(card_ids)s::bigint[]) AS given (kind, key, card_id)
WHERE identifiers.kind = given.kind AND identifiers.key = given.key AND remembered_card_id IS NULL

-- name: fill_names
UPDATE cards SET name = given.name
FROM unnest(%(card_ids)s::bigint[], %(names)s::text[]) AS given (id, name)
WHERE cards.id = given.id AND cards.name = ''

-- name: details
-- What decides about creation (C1-C3).
SELECT
    cards.id, cards.type::text, cards.name,
    EXISTS (SELECT FROM card_identifiers WHERE card_id = cards.id AND kind = 'phone'),
    EXISTS (SELECT FROM card_identifiers WHERE card_id = cards.id AND kind = 'email')
FROM cards WHERE cards.id = ANY(%(card_ids)s)

-- name: promote
-- Who accepted the dialog while there was no card yet stays responsible (C4).
UPDATE cards SET
    type = given.type, source_id = given.source_id,
    responsible_id = CASE WHEN responsible_by = 'acceptor' THEN cards.responsible_id ELSE given.responsible_id END,
    responsible_by = CASE
        WHEN responsible_by = 'acceptor' THEN 'acceptor' WHEN given.responsible_id IS NULL THEN 'nobody' ELSE 'roster'
    END
FROM unnest(%(card_ids)s::bigint[], %(types)s::card_type[], %(source_ids)s::bigint[], %(responsible_ids)s::bigint[])
    AS given (id, type, source_id, responsible_id)
WHERE cards.id = given.id AND cards.type = 'provisional' AND cards.live_id IS NULL

-- name: ensure_sources
INSERT INTO sources (name) SELECT name FROM unnest(%(names)s::text[]) AS given (name) ORDER BY name
ON CONFLICT DO NOTHING

-- name: read_sources
SELECT name, id FROM sources WHERE name = ANY(%(names)s)

-- name: deal_states
-- The deals of each chat's contact (C1).
SELECT
    chats.id, chats.deal_id,
    EXISTS (SELECT FROM dialogs WHERE dialogs.chat_id = chats.id AND deal_id = chats.deal_id AND status = 'closed'),
    (SELECT max(deals.id) FROM cards AS deals
     WHERE deals.contact_id = coalesce(cards.live_id, cards.id) AND deals.type = 'deal' AND deals.closed_at IS NULL)
FROM chats JOIN cards ON cards.id = chats.card_id
WHERE chats.id = ANY(%(chat_ids)s)

-- name: insert_deals
-- Who accepted the chat's open dialog before is responsible (C4); an accept locks the chat, as this does.
INSERT INTO cards (id, type, name, contact_id, open_channel_id, chat_id, source_id, responsible_id, responsible_by)
SELECT
    given.id, 'deal', contacts.name, contacts.id, given.open_channel_id, given.chat_id, given.source_id,
    coalesce(accepted.operator_id, given.responsible_id),
    CASE
        WHEN accepted.operator_id IS NOT NULL THEN 'acceptor' WHEN given.responsible_id IS NULL THEN 'nobody'
        ELSE 'roster'
    END
FROM unnest(
    %(ids)s::bigint[], %(contact_ids)s::bigint[], %(open_channel_ids)s::bigint[], %(chat_ids)s::bigint[],
    %(source_ids)s::bigint[], %(responsible_ids)s::bigint[]
) AS given (id, contact_id, open_channel_id, chat_id, source_id, responsible_id)
JOIN cards AS contacts ON contacts.id = given.contact_id
LEFT JOIN dialogs AS accepted
    ON accepted.chat_id = given.chat_id AND accepted.status <> 'closed' AND accepted.accepted_at IS NOT NULL

-- name: absorb
-- A provisional card, which nobody has seen, points at the card that its customer turned out to have.
UPDATE cards SET live_id = %(survivor_id)s WHERE id = %(card_id)s AND type = 'provisional'

-- name: accepted_by
-- The operator who takes the dialog first is responsible from then on (C4).
UPDATE cards SET responsible_id = %(operator_id)s, responsible_by = 'acceptor'
WHERE id = ANY(%(card_ids)s) AND responsible_by <> 'acceptor'

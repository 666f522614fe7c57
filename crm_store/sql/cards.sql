-- Cards and identifiers.
-- Lock order: chats (held already), identifiers by (kind, key), cards by id.

-- name: new_ids
SELECT nextval('cards_id_seq') FROM generate_series(1, %(n)s)

-- name: insert_cards
INSERT INTO cards (id, type, name, open_channel_id, chat_id, name_inbox_id, created_at, matched)
SELECT id, 'provisional', name, open_channel_id, chat_id, name_inbox_id, created_at, matched
FROM unnest(
    %(ids)s::bigint[], %(names)s::text[], %(open_channel_ids)s::bigint[], %(chat_ids)s::bigint[],
    %(name_inbox_ids)s::bigint[], %(created_ats)s::timestamptz[], %(matched)s::boolean[]
) AS given (id, name, open_channel_id, chat_id, name_inbox_id, created_at, matched)

-- name: provisional
SELECT id FROM cards WHERE id = ANY(%(card_ids)s) AND type = 'provisional'

-- name: with_provisional
-- Of cards, those whose live card is provisional.
SELECT cards.id
FROM unnest(%(card_ids)s::bigint[]) AS given (id)
JOIN cards ON cards.id = given.id
JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id)
WHERE live.type = 'provisional'

-- name: details
-- What decides about creation (C1-C3): of live cards, with what stands on those that were merged into them.
SELECT live.id, live.type::text, coalesce(nullif(live.name, ''), merged.name, ''), given.phone, given.email
FROM unnest(%(card_ids)s::bigint[]) AS wanted (id)
JOIN cards AS live ON live.id = wanted.id
CROSS JOIN LATERAL (
    SELECT
        coalesce(array_agg(id), '{}') AS ids, (array_agg(name ORDER BY id) FILTER (WHERE name <> ''))[1] AS name
    FROM cards WHERE live_id = live.id OFFSET 0
) AS merged
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(kind = 'phone'), false) AS phone, coalesce(bool_or(kind = 'email'), false) AS email
    FROM card_identifiers WHERE card_id = ANY(live.id || merged.ids) OFFSET 0
) AS given

-- name: promote
-- Who accepted the dialog while there was no card yet stays responsible (C4).
UPDATE cards SET
    type = given.type, source_id = given.source_id,
    responsible_id = CASE WHEN responsible_by = 'acceptor' THEN cards.responsible_id ELSE given.responsible_id END,
    responsible_by = CASE
        WHEN responsible_by = 'acceptor' THEN 'acceptor' WHEN given.responsible_id IS NULL THEN 'nobody' ELSE 'roster'
    END,
    made_by = given.made_by
FROM unnest(
    %(card_ids)s::bigint[], %(types)s::card_type[], %(source_ids)s::bigint[], %(responsible_ids)s::bigint[],
    %(made_bys)s::text[]
) AS given (id, type, source_id, responsible_id, made_by)
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
     WHERE deals.contact_id IN (
         SELECT id FROM cards AS same
         WHERE same.id = coalesce(cards.live_id, cards.id) OR same.live_id = coalesce(cards.live_id, cards.id)
     ) AND deals.type = 'deal' AND deals.closed_at IS NULL)
FROM chats JOIN cards ON cards.id = chats.card_id
WHERE chats.id = ANY(%(chat_ids)s)

-- name: insert_deals
-- Who accepted the chat's open dialog before is responsible (C4); an accept locks the chat, as this does.
INSERT INTO cards (id, type, name, contact_id, open_channel_id, chat_id, source_id, responsible_id, responsible_by)
SELECT
    given.id, 'deal', coalesce(nullif(contacts.name, ''), live.name, ''), contacts.id, given.open_channel_id, given.chat_id, given.source_id,
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
LEFT JOIN cards AS live ON live.id = contacts.live_id
LEFT JOIN dialogs AS accepted
    ON accepted.chat_id = given.chat_id AND accepted.status <> 'closed' AND accepted.accepted_at IS NOT NULL

-- name: accepted_by
-- The operator who takes the dialog first is responsible from then on (C4).
UPDATE cards SET responsible_id = %(operator_id)s, responsible_by = 'acceptor'
WHERE id = ANY(%(card_ids)s) AND responsible_by <> 'acceptor'

-- name: transferred_to
-- Only a lead or a deal that was made from this chat (D10).
UPDATE cards SET responsible_id = %(operator_id)s, responsible_by = 'acceptor'
WHERE id = ANY(%(card_ids)s) AND chat_id = %(chat_id)s AND type IN ('lead', 'deal')

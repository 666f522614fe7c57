-- Customers that part: undone merges, and chats that get a card of their own.
-- Lock order: chats, identifiers and live cards are locked already; dialogs come last.

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

-- name: move_apart
-- Who is kept apart from those who stay is kept apart from those who left.
INSERT INTO kept_apart (card_id, other_id, actor, reason, at)
SELECT least(%(new_id)s, other), greatest(%(new_id)s, other), actor, reason, at
FROM kept_apart CROSS JOIN LATERAL (SELECT card_id + other_id - %(card_id)s AS other) AS pair
WHERE card_id = %(card_id)s OR other_id = %(card_id)s

-- name: move_detached
INSERT INTO detached (card_id, kind, key, actor, reason, at)
SELECT %(new_id)s, kind, key, actor, reason, at FROM detached WHERE card_id = %(card_id)s

-- name: own_deals
-- After a merge was undone: a chat that went on with the other customer's deal has its own again (C1).
UPDATE chats SET deal_id = (
    SELECT max(own_deals.id) FROM cards AS own_deals
    JOIN cards AS contacts ON contacts.id = own_deals.contact_id
    WHERE own_deals.type = 'deal' AND own_deals.closed_at IS NULL
        AND coalesce(contacts.live_id, contacts.id) = coalesce(own.live_id, own.id)
)
FROM cards AS own, cards AS deals, cards AS others
WHERE chats.card_id = ANY(%(card_ids)s) AND own.id = chats.card_id AND deals.id = chats.deal_id
    AND others.id = deals.contact_id AND coalesce(others.live_id, others.id) <> coalesce(own.live_id, own.id)

-- name: own_deals_of_dialogs
UPDATE dialogs SET deal_id = chats.deal_id FROM chats
WHERE dialogs.chat_id = chats.id AND chats.card_id = ANY(%(card_ids)s) AND dialogs.status <> 'closed'
    AND dialogs.deal_id IS DISTINCT FROM chats.deal_id

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

-- Where everything on a customer's cards comes from: by whom, from which message, through which rule.
-- Reads only, and locks nothing. `card_ids` are all cards of the customer.

-- name: cards
SELECT
    cards.id, cards.type::text, cards.live_id IS NULL, cards.name, name_inbox_id, cards.created_at, made_by,
    nullif(cards.chat_id, 0), open_channels.id, open_channels.name, edited_at
FROM cards LEFT JOIN open_channels ON open_channels.id = cards.open_channel_id
WHERE cards.id = ANY(%(card_ids)s) ORDER BY cards.id

-- name: identifiers
-- All that stand on the cards, are remembered for them (T5), or were detached from them; with what is thought of them
-- (T9) and what of the block list covers them.
SELECT
    wanted.kind, wanted.key, coalesce(standing, 'usual'), remembered_card_id,
    blocked.value, blocked.reason, blocked.actor, blocked.at
FROM (
    SELECT kind, key FROM card_identifiers WHERE card_id = ANY(%(card_ids)s)
    UNION SELECT kind, key FROM identifiers WHERE remembered_card_id = ANY(%(card_ids)s)
    UNION SELECT kind, key FROM detached WHERE card_id = ANY(%(card_ids)s)
) AS wanted
LEFT JOIN identifiers ON identifiers.kind = wanted.kind AND identifiers.key = wanted.key
LEFT JOIN LATERAL (
    SELECT value, reason, actor, at FROM blocked_values
    WHERE blocked_values.kind = wanted.kind AND (
        value = wanted.key
        OR (wanted.kind = 'email' AND value IN (
            '@' || split_part(wanted.key, '@', 2), split_part(wanted.key, '@', 1) || '@'
        ))
    )
    ORDER BY value = wanted.key DESC, value LIMIT 1
) AS blocked ON true
ORDER BY wanted.kind DESC, wanted.key

-- name: facts
SELECT
    facts.kind, facts.key, facts.card_id, value, written, evidence::text, nullif(facts.chat_id, 0), channels.key, channels.kind,
    inbox_id, given_at, given_by, rule
FROM card_identifiers AS facts
LEFT JOIN chats ON chats.id = facts.chat_id
LEFT JOIN channels ON channels.id = chats.channel_id
WHERE facts.card_id = ANY(%(card_ids)s)
ORDER BY given_at, facts.chat_id

-- name: detached
SELECT kind, key, card_id, actor, reason, at FROM detached WHERE card_id = ANY(%(card_ids)s) ORDER BY at, card_id

-- name: chats
SELECT
    chats.id, card_id, channels.key, channels.kind, external_id, chats.name, bound_by, bound_at, bound_kind, bound_key,
    bound_evidence::text, bound_inbox_id, chats.created_at
FROM chats JOIN channels ON channels.id = chats.channel_id
WHERE card_id = ANY(%(card_ids)s) ORDER BY chats.id

-- name: kept_apart
-- Seen from this customer.
SELECT apart.mine_id, apart.theirs_id, coalesce(theirs.live_id, theirs.id), apart.actor, apart.reason, apart.at
FROM (
    SELECT card_id AS mine_id, other_id AS theirs_id, actor, reason, at
    FROM kept_apart WHERE card_id = ANY(%(card_ids)s)
    UNION ALL
    SELECT other_id, card_id, actor, reason, at FROM kept_apart WHERE other_id = ANY(%(card_ids)s)
) AS apart
JOIN cards AS theirs ON theirs.id = apart.theirs_id
ORDER BY apart.at, apart.mine_id

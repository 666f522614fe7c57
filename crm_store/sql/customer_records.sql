-- All that is known of one customer, as JSON, for a request of access. Locks nothing; every query reads one snapshot.

-- name: snapshot
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: keep_partitions
-- Before anything is read: what retention moved out of a partition afterwards, this snapshot would see nowhere.
LOCK TABLE ONLY inbox, ONLY messages IN ACCESS SHARE MODE

-- name: cards
SELECT to_jsonb(row)::text FROM (
    SELECT
        cards.id, cards.type, cards.name, cards.live_id, cards.contact_id, open_channels.name AS open_channel,
        cards.chat_id, sources.name AS source, operators.name AS responsible, cards.made_by, cards.edited_at,
        cards.created_at, cards.closed_at
    FROM cards
    LEFT JOIN open_channels ON open_channels.id = cards.open_channel_id
    LEFT JOIN sources ON sources.id = cards.source_id
    LEFT JOIN operators ON operators.id = cards.responsible_id
    WHERE cards.id = ANY(%(card_ids)s) ORDER BY cards.id
) AS row

-- name: identifiers
SELECT to_jsonb(row)::text FROM (
    SELECT card_id, chat_id, kind, key, value, written, evidence, rule, given_by, given_at, inbox_id
    FROM card_identifiers WHERE card_id = ANY(%(card_ids)s) ORDER BY given_at, card_id, kind, key
) AS row

-- name: remembered_phones
SELECT to_jsonb(row)::text FROM (
    SELECT key AS phone, remembered_card_id AS card_id, standing
    FROM identifiers WHERE remembered_card_id = ANY(%(card_ids)s) ORDER BY key
) AS row

-- name: claims
SELECT to_jsonb(claims)::text FROM claims WHERE chat_id = ANY(%(chat_ids)s) ORDER BY kind, key

-- name: merges
SELECT to_jsonb(merges)::text FROM merges
WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s) ORDER BY id

-- name: kept_apart
SELECT to_jsonb(kept_apart)::text FROM kept_apart
WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s) ORDER BY at

-- name: detached
SELECT to_jsonb(detached)::text FROM detached WHERE card_id = ANY(%(card_ids)s) ORDER BY at

-- name: reviews
SELECT to_jsonb(reviews)::text FROM reviews
WHERE card_id = ANY(%(card_ids)s) OR other_id = ANY(%(card_ids)s) ORDER BY id

-- name: chats
SELECT to_jsonb(row)::text FROM (
    SELECT
        chats.id, channels.key AS channel, channels.kind AS channel_kind, chats.external_id, chats.customer_id,
        chats.name, chats.card_id, chats.deal_id, chats.bound_by, chats.bound_kind, chats.bound_key,
        chats.bound_evidence, chats.bound_at, chats.created_at
    FROM chats JOIN channels ON channels.id = chats.channel_id
    WHERE chats.id = ANY(%(chat_ids)s) ORDER BY chats.id
) AS row

-- name: messages
-- The whole histories, with what was edited or deleted, and what became of ours.
SELECT to_jsonb(row)::text FROM (
    SELECT
        messages.chat_id, messages.seq, direction, messages.kind, text, attachments, external_id, reply_to, referral,
        messages.dialog_id, operators.name AS operator, messages.sent_at, received_at, edited_at, deleted_at,
        reactions, CASE WHEN outbox.id IS NOT NULL THEN jsonb_build_object(
            'state', outbox.state, 'attempts', outbox.attempts, 'sent_at', outbox.sent_at, 'error', outbox.error,
            'dead_letter', (
                SELECT to_jsonb(dead) - 'id' - 'inbox_id' - 'outbox_id' || jsonb_build_object('acts', (
                    SELECT coalesce(jsonb_agg(to_jsonb(acts) - 'id' - 'letter_id' ORDER BY acts.id), '[]')
                    FROM dead_letter_acts AS acts WHERE acts.letter_id = dead.id
                ))
                FROM dead_letters AS dead WHERE dead.outbox_id = outbox.id
            )
        ) END AS delivery
    FROM messages
    LEFT JOIN operators ON operators.id = messages.operator_id
    LEFT JOIN outbox ON outbox.chat_id = messages.chat_id AND outbox.seq = messages.seq
    WHERE messages.chat_id = ANY(%(chat_ids)s) ORDER BY messages.chat_id, messages.seq
) AS row

-- name: dialogs
SELECT to_jsonb(row)::text FROM (
    SELECT
        dialogs.id, dialogs.chat_id, open_channels.name AS open_channel, dialogs.card_id, dialogs.deal_id,
        dialogs.status, operators.name AS operator, dialogs.created_at, assigned_at, accepted_at, answered_at,
        noticed_at, dialogs.closed_at,
        (SELECT coalesce(jsonb_agg(to_jsonb(event) - 'id' - 'dialog_id' ORDER BY event.id), '[]')
         FROM events AS event WHERE event.dialog_id = dialogs.id) AS events,
        (SELECT coalesce(jsonb_agg(to_jsonb(decision) - 'id' - 'dialog_id' ORDER BY decision.id), '[]')
         FROM decisions AS decision WHERE decision.dialog_id = dialogs.id) AS decisions
    FROM dialogs
    JOIN open_channels ON open_channels.id = dialogs.open_channel_id
    LEFT JOIN operators ON operators.id = dialogs.operator_id
    WHERE dialogs.chat_id = ANY(%(chat_ids)s) ORDER BY dialogs.id
) AS row

-- name: last_item
SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM inbox

-- name: inbox
-- Items that are still kept, of a range of ids: no index leads from a chat to its finished ones. Also those that make
-- no chat (echoes, statuses), by the ids of his conversations.
SELECT (to_jsonb(row) - 'raw')::text, row.raw FROM (
    SELECT
        inbox.id, channels.key AS channel, state.chat_id, state.stage, state.reason, inbox.received_at,
        state.finished_at, state.attempts, state.found, inbox.message, inbox.headers,
        (
            SELECT jsonb_agg(to_jsonb(failures) - 'id' - 'inbox_id' - 'outbox_id' ORDER BY failures.id)
            FROM failures WHERE failures.inbox_id = inbox.id
        ) AS failures,
        CASE WHEN dead.id IS NOT NULL THEN
            to_jsonb(dead) - 'id' - 'inbox_id' - 'outbox_id' || jsonb_build_object('acts', (
                SELECT coalesce(jsonb_agg(to_jsonb(acts) - 'id' - 'letter_id' ORDER BY acts.id), '[]')
                FROM dead_letter_acts AS acts WHERE acts.letter_id = dead.id
            ))
        END AS dead_letter,
        inbox.raw
    FROM inbox
    JOIN inbox_state AS state ON state.inbox_id = inbox.id
    LEFT JOIN channels ON channels.id = inbox.channel_id
    LEFT JOIN dead_letters AS dead ON dead.inbox_id = inbox.id
    WHERE inbox.id > %(after)s AND inbox.id <= %(to)s AND (
        state.chat_id = ANY(%(chat_ids)s) OR state.chat_id IS NULL AND EXISTS (
            SELECT FROM unnest(%(channel_ids)s::bigint[], %(addresses)s::text[]) AS his (channel_id, address)
            WHERE his.channel_id = inbox.channel_id
                AND his.address IN (inbox.message ->> 'chat_id', inbox.message ->> 'customer_id')
        )
    )
) AS row ORDER BY id

-- A desk that has worked for two years. Numbered chats are made of nothing but their numbers, set by set.
--
-- Chat c is one of `chats`, the first of them `first`; its id is chat_base + c. Every sixth chat is a customer's second
-- one, so card c - c / 6 is its card's number. It began at the c-th of `chats` even steps of two years, which is why ids
-- follow time as they do in a real desk. One to thirteen messages, 4.2 on average. In messages two of three are the
-- customer's. Phones are Polish, which nobody of a stream has.

-- name: desk
-- Nobody of it is there: else the clock would take thousands of dialogs back while something else is measured (D11).
WITH desk AS (
    INSERT INTO open_channels (name, settings) VALUES ('Seeded desk', '{"check_availability": false}') RETURNING id
), kinds AS (
    INSERT INTO channels (key, kind, name, open_channel_id, secrets, active)
    SELECT 'seeded-' || kind, kind, 'Seeded ' || kind, desk.id, '', false
    FROM desk, unnest('{telegram,livechat,custom,whatsapp,webform}'::text[]) AS kind
)
INSERT INTO operators (name) SELECT 'Operator ' || n || ' (seeded)' FROM desk, generate_series(1, 200) AS n

-- name: plan
-- What every other statement reads: the chats of this call. Unlogged, and dropped at the end.
CREATE UNLOGGED TABLE seeded AS
SELECT
    c, base.chat + c AS chat_id, base.card + c - c / 6 AS card_id, base.inbox + 16 * c AS inbox_id,
    c %% 6 = 0 AS second, %(first)s + c AS number, kinds.kind, kinds.channel_id, kinds.open_channel_id,
    (ARRAY[1, 1, 2, 2, 3, 3, 4, 5, 8, 13])[1 + (c * 7) %% 10] AS length,
    now() - interval '730 days' * (1 - (c - 0.5) / %(chats)s) AS began
FROM generate_series(1, %(chats)s::bigint) AS c
CROSS JOIN (
    SELECT
        (SELECT coalesce(max(id), 0) FROM chats) AS chat, (SELECT coalesce(max(id), 0) FROM cards) AS card,
        (SELECT coalesce(max(inbox_id), 0) FROM inbox_state) AS inbox
) AS base
JOIN (
    SELECT id AS channel_id, kind, open_channel_id FROM channels WHERE key LIKE 'seeded-%%'
) AS kinds ON kinds.kind = CASE
    WHEN c %% 100 < 42 THEN 'telegram' WHEN c %% 100 < 67 THEN 'livechat' WHEN c %% 100 < 92 THEN 'custom'
    WHEN c %% 100 < 98 THEN 'whatsapp' ELSE 'webform'
END
ORDER BY c

-- name: cards
INSERT INTO cards (id, type, name, open_channel_id, chat_id, responsible_by, created_at)
SELECT card_id, 'lead', 'Customer ' || number, open_channel_id, chat_id, 'roster', began
FROM seeded WHERE NOT second ORDER BY c

-- name: chats
INSERT INTO chats (
    id, channel_id, external_id, customer_id, name, card_id, bound_by, bound_at, last_seq, created_at, bound_inbox_id
)
OVERRIDING SYSTEM VALUE
SELECT
    chat_id, channel_id, 'seeded-' || number, 'seeded-' || number, 'Customer ' || number, card_id,
    CASE WHEN second THEN 'T4' ELSE 'T6' END, began, length, began, inbox_id + 1
FROM seeded ORDER BY c

-- name: identifiers
-- Everybody's messenger id, a phone of three in ten, an e-mail of every fifth.
CREATE UNLOGGED TABLE seeded_identifiers AS
SELECT card_id, chat_id, 'messenger' AS kind, kind || '/seeded-' || number AS key, inbox_id, began FROM seeded
UNION ALL
SELECT card_id, chat_id, 'phone', '+48' || 500000000 + number, inbox_id, began FROM seeded WHERE c %% 10 IN (1, 4, 7)
UNION ALL
SELECT card_id, chat_id, 'email', 'customer' || number || '@seeded.example', inbox_id, began
FROM seeded WHERE c %% 10 IN (2, 7)

-- name: locks
INSERT INTO identifiers (kind, key, remembered_card_id)
SELECT kind, key, CASE WHEN kind = 'phone' THEN card_id END FROM seeded_identifiers

-- name: facts
INSERT INTO card_identifiers (card_id, kind, key, value, written, evidence, inbox_id, given_at, chat_id, rule)
SELECT
    card_id, kind, key, key, key, CASE WHEN kind = 'messenger' THEN 'proven' ELSE 'typed' END::evidence, inbox_id + 1,
    began, chat_id, 'T6'
FROM seeded_identifiers

-- name: claims
INSERT INTO claims (kind, key, channel_kind, name, customer_id, chat_id, inbox_id)
SELECT kind, key, 'telegram', 'customer ' || chat_id, 'seeded-' || chat_id, chat_id, inbox_id + 1
FROM seeded_identifiers WHERE kind <> 'messenger'

-- name: dialogs
-- One of each chat, and an earlier one of every tenth. Of a hundred chats one has its last dialog still open.
INSERT INTO dialogs (
    open_channel_id, chat_id, card_id, status, operator_id, created_at, assigned_at, first_assigned_at, accepted_at,
    answered_at, closed_at, awaits_customer
)
SELECT
    open_channel_id, chat_id, card_id, CASE WHEN is_open THEN 'awaiting_customer' ELSE 'closed' END::dialog_status,
    (SELECT min(id) FROM operators WHERE name LIKE '%% (seeded)') + c %% 200, began, began, began, began, began,
    CASE WHEN NOT is_open THEN began + interval '1 hour' END, is_open
FROM seeded
CROSS JOIN LATERAL (
    SELECT n = 1 AND c %% 100 = 0 AS is_open
    FROM generate_series(1, CASE WHEN length = 13 THEN 2 ELSE 1 END) AS n ORDER BY n DESC
) AS dialog
ORDER BY c

-- name: messages
INSERT INTO messages (
    chat_id, seq, direction, kind, text, external_id, inbox_id, operator_id, sent_at, received_at
)
SELECT
    chat_id, seq, CASE WHEN seq %% 3 = 0 THEN 'out' ELSE 'in' END, 'text',
    'Message ' || seq || ' of customer ' || number || ', about as long as what people write',
    CASE WHEN seq %% 3 = 0 THEN '' ELSE 'm-' || seq END, CASE WHEN seq %% 3 > 0 THEN inbox_id + seq END,
    CASE WHEN seq %% 3 = 0 THEN 1 END, said.at, said.at
FROM seeded
CROSS JOIN LATERAL generate_series(1, length) AS seq
CROSS JOIN LATERAL (SELECT least(began + (seq - 1) * interval '7 minutes', now() - interval '1 minute') AS at) AS said
ORDER BY c, seq

-- name: recent
-- What retention leaves in the inbox: the messages of the last four weeks.
CREATE UNLOGGED TABLE seeded_recent AS
SELECT
    seeded.inbox_id + seq AS inbox_id, channel_id, chat_id, card_id, seq, kind, number,
    least(began + (seq - 1) * interval '7 minutes', now() - interval '1 minute') AS at
FROM seeded CROSS JOIN LATERAL generate_series(1, length) AS seq
WHERE began > now() - interval '28 days' AND seq %% 3 > 0
ORDER BY c, seq

-- name: inbox
INSERT INTO inbox (id, channel_id, received_at, message, digest, raw, headers)
SELECT
    inbox_id, channel_id, at,
    jsonb_build_object(
        'key', 'm-' || seq, 'kind', 'text', 'name', 'Customer ' || number, 'text', 'Message ' || seq,
        'channel', 'seeded-' || kind, 'chat_id', 'seeded-' || number, 'external_id', 'm-' || seq, 'sent_at', at,
        'received_at', at
    ),
    substr(decode(md5(inbox_id::text), 'hex'), 1, 8), convert_to(repeat('{"message":"as the provider sent it"}', 8), 'UTF8'),
    '{"content-type": "application/json"}'
FROM seeded_recent

-- name: states
INSERT INTO inbox_state (
    inbox_id, chat_id, chat_seq, stage, due_at, found, card_id, accepted_at, looked_up_at, bound_at, carded_at,
    distributed_at, finished_at
)
SELECT inbox_id, chat_id, seq, 'done', at, '{"candidates": [], "identifiers": []}', card_id, at, at, at, at, at, at
FROM seeded_recent

-- name: keys
INSERT INTO inbox_keys (channel_id, key_hash, day)
SELECT channel_id, decode(md5(inbox_id::text), 'hex'), at::date FROM seeded_recent ORDER BY 1, 2

-- name: ledger
INSERT INTO ledger (outcome, n)
SELECT outcome, count(*) FROM seeded_recent, unnest('{accepted,done}'::text[]) AS outcome GROUP BY outcome

-- name: sequences
-- Ids go on above those that were given by hand.
SELECT
    setval(pg_get_serial_sequence('chats', 'id'), (SELECT max(id) FROM chats)),
    setval(pg_get_serial_sequence('cards', 'id'), (SELECT max(id) FROM cards)),
    setval('inbox_id_seq', (SELECT max(inbox_id) + 16 FROM seeded))

-- name: clean
DROP TABLE seeded, seeded_identifiers, seeded_recent

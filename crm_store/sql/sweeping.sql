-- The sweep: everything in which somebody may have written down an erased phone or e-mail, in chunks by primary key.
-- Each chunk is read without locks, in the order of the first columns, from `after` on. What is to be rewritten is
-- found again by place and version (ctid, xmin): a row that was changed meanwhile is left, and its chunk read again.
-- Messages are in many tables, each with places of its own: there the table belongs to the place.
-- Every write locks its rows only; but those of `inbox` lock the chats first, see there.
-- Identifiers in columns of their own (`key`) are erased by the last transaction, see erasure.sql.

-- name: read_messages
SELECT
    tableoid || ' ' || ctid::text, xmin::text, chat_id, seq,
    text, external_id, reply_to, referral, attachments::text, reactions::text
FROM messages
WHERE (chat_id, seq) > (%(after_0)s::bigint, %(after_1)s::bigint) AND chat_id <> ALL(%(own_ids)s::bigint[])
ORDER BY chat_id, seq LIMIT %(limit)s

-- name: write_messages
UPDATE messages SET
    text = given.c0, external_id = given.c1, reply_to = given.c2, referral = given.c3,
    attachments = given.c4::jsonb, reactions = given.c5::jsonb
FROM unnest(
    %(places)s::text[], %(versions)s::text[], %(c0)s::text[], %(c1)s::text[], %(c2)s::text[], %(c3)s::text[],
    %(c4)s::text[], %(c5)s::text[]
) AS given (place, version, c0, c1, c2, c3, c4, c5)
WHERE messages.tableoid = split_part(given.place, ' ', 1)::oid AND messages.ctid = split_part(given.place, ' ', 2)::tid
    AND messages.xmin::text = given.version

-- name: read_chats
-- Not their addresses: those of other customers stay theirs.
SELECT ctid::text, xmin::text, id, name, bound_key
FROM chats WHERE id > %(after_0)s::bigint AND id <> ALL(%(own_ids)s::bigint[]) ORDER BY id LIMIT %(limit)s

-- name: write_chats
UPDATE chats SET name = given.c0, bound_key = given.c1
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[], %(c1)s::text[]) AS given (place, version, c0, c1)
WHERE chats.ctid = given.place AND chats.xmin::text = given.version

-- name: unbound_chats
-- Nobody's so far: just made, or of an open channel that is not active (C5).
SELECT id, external_id, customer_id FROM chats
WHERE card_id IS NULL AND id > %(after)s ORDER BY id LIMIT %(limit)s

-- name: read_cards
SELECT ctid::text, xmin::text, id, name
FROM cards WHERE id > %(after_0)s::bigint AND id <> ALL(%(own_ids)s::bigint[]) ORDER BY id LIMIT %(limit)s

-- name: write_cards
UPDATE cards SET name = given.c0
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[]) AS given (place, version, c0)
WHERE cards.ctid = given.place AND cards.xmin::text = given.version

-- name: read_failures
SELECT ctid::text, xmin::text, id, error, traceback
FROM failures WHERE id > %(after_0)s::bigint ORDER BY id LIMIT %(limit)s

-- name: write_failures
UPDATE failures SET error = given.c0, traceback = given.c1
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[], %(c1)s::text[]) AS given (place, version, c0, c1)
WHERE failures.ctid = given.place AND failures.xmin::text = given.version

-- name: read_dead_letters
SELECT ctid::text, xmin::text, id, error, traceback
FROM dead_letters WHERE id > %(after_0)s::bigint ORDER BY id LIMIT %(limit)s

-- name: write_dead_letters
UPDATE dead_letters SET error = given.c0, traceback = given.c1
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[], %(c1)s::text[]) AS given (place, version, c0, c1)
WHERE dead_letters.ctid = given.place AND dead_letters.xmin::text = given.version

-- name: read_dead_letter_acts
-- What an edit changed, and why somebody discarded it.
SELECT ctid::text, xmin::text, id, reason, details::text
FROM dead_letter_acts WHERE id > %(after_0)s::bigint ORDER BY id LIMIT %(limit)s

-- name: write_dead_letter_acts
UPDATE dead_letter_acts SET reason = given.c0, details = given.c1::jsonb
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[], %(c1)s::text[]) AS given (place, version, c0, c1)
WHERE dead_letter_acts.ctid = given.place AND dead_letter_acts.xmin::text = given.version

-- name: read_outbox
SELECT ctid::text, xmin::text, id, error
FROM outbox WHERE id > %(after_0)s::bigint ORDER BY id LIMIT %(limit)s

-- name: write_outbox
UPDATE outbox SET error = given.c0
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[]) AS given (place, version, c0)
WHERE outbox.ctid = given.place AND outbox.xmin::text = given.version

-- name: read_reviews
SELECT ctid::text, xmin::text, id, note
FROM reviews WHERE id > %(after_0)s::bigint ORDER BY id LIMIT %(limit)s

-- name: write_reviews
UPDATE reviews SET note = given.c0
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[]) AS given (place, version, c0)
WHERE reviews.ctid = given.place AND reviews.xmin::text = given.version

-- name: read_merges
SELECT ctid::text, xmin::text, id, reason, undo_reason
FROM merges WHERE id > %(after_0)s::bigint ORDER BY id LIMIT %(limit)s

-- name: write_merges
UPDATE merges SET reason = given.c0, undo_reason = given.c1
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[], %(c1)s::text[]) AS given (place, version, c0, c1)
WHERE merges.ctid = given.place AND merges.xmin::text = given.version

-- name: read_kept_apart
SELECT ctid::text, xmin::text, card_id, other_id, reason
FROM kept_apart WHERE (card_id, other_id) > (%(after_0)s::bigint, %(after_1)s::bigint)
ORDER BY card_id, other_id LIMIT %(limit)s

-- name: write_kept_apart
UPDATE kept_apart SET reason = given.c0
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[]) AS given (place, version, c0)
WHERE kept_apart.ctid = given.place AND kept_apart.xmin::text = given.version

-- name: read_detached
SELECT ctid::text, xmin::text, card_id, kind, key, reason
FROM detached WHERE (card_id, kind, key) > (%(after_0)s::bigint, %(after_1)s::text, %(after_2)s::text)
ORDER BY card_id, kind, key LIMIT %(limit)s

-- name: write_detached
UPDATE detached SET reason = given.c0
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[]) AS given (place, version, c0)
WHERE detached.ctid = given.place AND detached.xmin::text = given.version

-- name: read_audit
SELECT ctid::text, xmin::text, id, details::text
FROM audit WHERE id > %(after_0)s::bigint ORDER BY id LIMIT %(limit)s

-- name: write_audit
UPDATE audit SET details = given.c0::jsonb
FROM unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[]) AS given (place, version, c0)
WHERE audit.ctid = given.place AND audit.xmin::text = given.version

-- name: read_claims
SELECT ctid::text, xmin::text, kind, key, channel_kind, name, customer_id
FROM claims WHERE (kind, key, channel_kind, name)
    > (%(after_0)s::text, %(after_1)s::text, %(after_2)s::text, %(after_3)s::text)
ORDER BY kind, key, channel_kind, name LIMIT %(limit)s

-- name: write_claims
-- A claim is counted by its name; one that named the customer's phone is given up.
DELETE FROM claims USING unnest(%(places)s::tid[], %(versions)s::text[], %(c0)s::text[]) AS given (place, version, c0)
WHERE claims.ctid = given.place AND claims.xmin::text = given.version

-- name: read_identifiers
-- E-mails in which a phone stands go with it.
SELECT kind, key FROM identifiers WHERE (kind, key) > (%(after_0)s::text, %(after_1)s::text)
ORDER BY kind, key LIMIT %(limit)s

-- name: read_inbox
-- LATERAL: a join of both tables would be read from their beginnings for each chunk.
SELECT
    inbox.id, inbox.channel_id, inbox.message::text, inbox.raw, inbox.headers::text,
    state.stage::text, state.chat_id, state.found::text,
    EXISTS (SELECT FROM chats WHERE chats.id = state.chat_id AND chats.card_id IS NULL)
FROM (
    SELECT * FROM inbox WHERE id > %(after)s AND id <= %(to)s ORDER BY id LIMIT %(limit)s
) AS inbox
CROSS JOIN LATERAL (SELECT * FROM inbox_state WHERE inbox_state.inbox_id = inbox.id OFFSET 0) AS state
ORDER BY inbox.id

-- name: lock_chats
-- The chats of items that are to be rewritten, first: no step has read such an item and not yet written what it says.
SELECT id FROM chats WHERE id = ANY(%(chat_ids)s) ORDER BY id FOR NO KEY UPDATE

-- name: reread_inbox
SELECT
    inbox.id, inbox.message::text, inbox.raw, inbox.headers::text, state.found::text, state.chat_id, state.chat_seq,
    inbox.message ->> 'target'
FROM inbox JOIN inbox_state AS state ON state.inbox_id = inbox.id
WHERE inbox.id = ANY(%(inbox_ids)s) ORDER BY inbox.id FOR UPDATE

-- name: write_inbox
-- With another digest, so that a task that carries the old text is not believed.
UPDATE inbox SET message = given.message::jsonb, digest = given.digest, raw = given.raw, headers = given.headers::jsonb
FROM unnest(
    %(inbox_ids)s::bigint[], %(messages)s::text[], %(digests)s::bytea[], %(raws)s::bytea[], %(headers)s::text[]
) AS given (id, message, digest, raw, headers)
WHERE inbox.id = given.id

-- name: write_found
UPDATE inbox_state SET found = given.found::jsonb
FROM unnest(%(inbox_ids)s::bigint[], %(founds)s::text[]) AS given (id, found) WHERE inbox_state.inbox_id = given.id

-- name: messages_of_items
-- What such an item has become in the history, as far as it has got there; an edit, in the message that it was about.
SELECT
    messages.tableoid || ' ' || messages.ctid::text, messages.xmin::text, chat_id, seq,
    text, external_id, reply_to, referral, attachments::text, reactions::text
FROM messages JOIN (
    SELECT chat_id, seq FROM unnest(%(chat_ids)s::bigint[], %(seqs)s::bigint[]) AS given (chat_id, seq)
    UNION
    SELECT about.chat_id, about.seq
    FROM unnest(%(chat_ids)s::bigint[], %(targets)s::text[]) AS given (chat_id, target)
    JOIN messages AS about ON about.chat_id = given.chat_id AND about.external_id = given.target
    WHERE given.target <> '' AND about.external_id <> ''
) AS placed USING (chat_id, seq)

-- Dead letters, as persons see and handle them.
-- Lock order: chats, then inbox_state by inbox id, then the outbox by id, then dead_letters by id.

-- name: meant
-- Letters that a selection means; what is null does not narrow. `meant` goes before every query that takes a selection.
SELECT
    letters.*,
    left(encode(sha256(convert_to(concat_ws('/', letters.step, letters.reason, letters.fingerprint), 'UTF8')), 'hex'), 10)
        AS cause
FROM dead_letters_now AS letters
WHERE (%(ids)s::bigint[] IS NULL OR letters.id = ANY(%(ids)s::bigint[]))
    AND (%(state)s::text IS NULL OR letters.state = %(state)s::text)
    AND (%(step)s::text IS NULL OR letters.step = %(step)s::text)
    AND (%(reason)s::text IS NULL OR letters.reason = %(reason)s::text)
    AND (%(fingerprint)s::text IS NULL OR letters.fingerprint = %(fingerprint)s::text)
    AND (
        %(group)s::text IS NULL
        OR left(
            encode(sha256(convert_to(concat_ws('/', letters.step, letters.reason, letters.fingerprint), 'UTF8')), 'hex'), 10
        ) = %(group)s::text
    )
    AND (%(channel_id)s::bigint IS NULL OR letters.channel_id = %(channel_id)s::bigint)
    AND (%(since)s::timestamptz IS NULL OR letters.died_at >= %(since)s::timestamptz)
    AND (%(until)s::timestamptz IS NULL OR letters.died_at < %(until)s::timestamptz)
    AND (
        %(text)s::text IS NULL OR letters.error ILIKE %(text)s::text
        OR EXISTS (
            SELECT FROM inbox WHERE inbox.id = letters.inbox_id AND (
                inbox.message::text ILIKE %(in_json)s::text
                OR inbox.message IS NULL
                AND encode(inbox.raw, 'escape') ILIKE ANY (ARRAY[%(escaped)s::text, %(escaped_in_json)s::text])
            )
        )
        OR EXISTS (
            SELECT FROM outbox JOIN messages USING (chat_id, seq)
            WHERE outbox.id = letters.outbox_id AND messages.text ILIKE %(text)s::text
        )
    )

-- name: selected
-- In the order in which their messages came: what was received before what was to be sent.
SELECT id FROM meant ORDER BY inbox_id NULLS LAST, outbox_id LIMIT %(limit)s

-- name: states
SELECT state, count(*) FROM meant GROUP BY state

-- name: channel_id
SELECT id FROM channels WHERE key = %(key)s

-- name: region_of
SELECT region FROM channels WHERE id = %(channel_id)s

-- name: note_acts
INSERT INTO dead_letter_acts (letter_id, actor, act, reason, details)
SELECT letter_id, %(actor)s, %(act)s, %(reason)s, %(details)s::jsonb
FROM unnest(%(letter_ids)s::bigint[]) AS given (letter_id)

-- name: by_cause_and_state
SELECT step, reason, state, count(*) FROM dead_letters_now GROUP BY step, reason, state ORDER BY step, reason, state

-- name: oldest_dead
SELECT coalesce(extract(epoch FROM now() - min(first_died_at)), 0)::float8 FROM dead_letters_now WHERE state = 'dead'

-- name: discard_items
-- Those that are dead when their locks are had. `finished_at` is from when retention counts.
WITH locked AS (
    SELECT letters.id, state.inbox_id
    FROM dead_letters AS letters JOIN inbox_state AS state USING (inbox_id)
    WHERE letters.id = ANY(%(ids)s) AND state.stage = 'dead'
    ORDER BY state.inbox_id FOR UPDATE OF state
)
UPDATE inbox_state SET stage = 'discarded', finished_at = now()
FROM locked WHERE inbox_state.inbox_id = locked.inbox_id
RETURNING locked.id

-- name: discard_deliveries
WITH locked AS (
    SELECT letters.id
    FROM dead_letters AS letters JOIN outbox ON outbox.id = letters.outbox_id
    WHERE letters.id = ANY(%(ids)s) AND outbox.state = 'failed'
    ORDER BY outbox.id FOR NO KEY UPDATE OF outbox
)
UPDATE dead_letters SET discarded_at = now()
FROM locked WHERE dead_letters.id = locked.id AND dead_letters.discarded_at IS NULL
RETURNING dead_letters.id

-- name: restore_items
WITH locked AS (
    SELECT letters.id, state.inbox_id, letters.died_at
    FROM dead_letters AS letters JOIN inbox_state AS state USING (inbox_id)
    WHERE letters.id = ANY(%(ids)s) AND state.stage = 'discarded'
    ORDER BY state.inbox_id FOR UPDATE OF state
)
UPDATE inbox_state SET stage = 'dead', finished_at = locked.died_at
FROM locked WHERE inbox_state.inbox_id = locked.inbox_id
RETURNING locked.id

-- name: restore_deliveries
WITH locked AS (
    SELECT letters.id
    FROM dead_letters AS letters JOIN outbox ON outbox.id = letters.outbox_id
    WHERE letters.id = ANY(%(ids)s)
    ORDER BY outbox.id FOR NO KEY UPDATE OF outbox
)
UPDATE dead_letters SET discarded_at = NULL
FROM locked WHERE dead_letters.id = locked.id AND dead_letters.discarded_at IS NOT NULL
RETURNING dead_letters.id

-- name: chat_of
-- Before the letter is locked: a chat comes before its items. None where nobody could read whose it is.
SELECT state.chat_id FROM dead_letters JOIN inbox_state AS state USING (inbox_id) WHERE dead_letters.id = %(id)s

-- name: lock_chat
SELECT FROM chats WHERE id = %(chat_id)s FOR NO KEY UPDATE

-- name: letter
SELECT
    letters.id, letters.inbox_id, letters.outbox_id, letters.channel_id, letters.step, letters.reason,
    coalesce(state.stage = 'dead', false), inbox.received_at, inbox.message::text, inbox.headers::text,
    inbox.raw, state.chat_id, state.found IS NOT NULL
FROM dead_letters AS letters
LEFT JOIN inbox_state AS state ON state.inbox_id = letters.inbox_id
LEFT JOIN inbox ON inbox.id = letters.inbox_id
WHERE letters.id = %(id)s

-- name: lock_item
SELECT FROM inbox_state WHERE inbox_id = %(inbox_id)s FOR UPDATE

-- name: write_message
-- With its digest, so that a task that carries the old message is not believed. The key in `inbox_keys` stays.
UPDATE inbox SET message = %(message)s::jsonb, digest = %(digest)s WHERE id = %(inbox_id)s

-- name: write_found
-- What crm_lookup had found was in the old message.
UPDATE inbox_state SET found = %(found)s::jsonb WHERE inbox_id = %(inbox_id)s

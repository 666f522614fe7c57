-- Dead letters that are put back: into the step where they died, into the inbox, into the outbox.
-- Lock order: the lock that an erase takes alone (as accepting messages does), then inbox_state by id, the outbox by id,
-- dead_letters.

-- name: wait_briefly
-- Whoever has what is wanted goes on; nobody is held up for long.
SELECT set_config('lock_timeout', %(lock_timeout)s, true)

-- name: no_erase
-- A chat that is found stays until its message is committed.
SELECT pg_advisory_xact_lock_shared(hashtextextended('openchannel accept', 0))

-- name: lock_items
-- Those that are dead now, whatever they were when somebody chose them.
SELECT letters.id, letters.inbox_id, letters.step, letters.reason, letters.deaths, inbox.channel_id
FROM dead_letters AS letters
JOIN inbox_state AS state ON state.inbox_id = letters.inbox_id
JOIN inbox ON inbox.id = letters.inbox_id
WHERE letters.id = ANY(%(letter_ids)s) AND state.stage = 'dead'
ORDER BY state.inbox_id FOR NO KEY UPDATE OF state

-- name: lock_deliveries
SELECT letters.id, outbox.id, letters.step, letters.reason, letters.deaths
FROM dead_letters AS letters
JOIN outbox ON outbox.id = letters.outbox_id
WHERE letters.id = ANY(%(letter_ids)s) AND outbox.state = 'failed' AND letters.discarded_at IS NULL
ORDER BY outbox.id FOR NO KEY UPDATE OF outbox, letters

-- name: into_steps
-- Its first failure stays what it was: it has one try, and its chat does not wait for a minute if it fails again. A crash
-- is one too many at once.
UPDATE inbox_state AS state SET
    stage = given.stage::stage, due_at = clock_timestamp(), reason = NULL, finished_at = NULL,
    first_failed_at = coalesce(state.first_failed_at, letters.first_died_at),
    crashes = least(state.crashes, %(crashes)s), batch_limit = given.batch_limit
FROM unnest(%(inbox_ids)s::bigint[], %(stages)s::text[], %(batch_limits)s::smallint[])
    AS given (inbox_id, stage, batch_limit)
JOIN dead_letters AS letters ON letters.inbox_id = given.inbox_id
WHERE state.inbox_id = given.inbox_id

-- name: kept
-- What was kept of items that have not come as far as the first step.
SELECT inbox.id, inbox.channel_id, inbox.received_at, inbox.raw, inbox.message::text, inbox.headers, letters.step,
    letters.whole_body
FROM inbox JOIN dead_letters AS letters ON letters.inbox_id = inbox.id
WHERE inbox.id = ANY(%(inbox_ids)s)

-- name: in_history
-- Which messages stand in their chats already, by the ids of their provider. An edit has the id of what it is about.
SELECT given.inbox_id
FROM unnest(%(inbox_ids)s::bigint[], %(channel_ids)s::bigint[], %(chats)s::text[], %(messages)s::jsonb[])
    AS given (inbox_id, channel_id, chat, message)
JOIN chats ON chats.channel_id = given.channel_id AND chats.external_id = given.chat
JOIN messages ON messages.chat_id = chats.id AND messages.external_id = given.message ->> 'external_id'
WHERE messages.external_id <> '' AND messages.direction = 'in'
    AND given.message ->> 'kind' <> ALL(%(change_kinds)s::text[])

-- name: into_inbox
-- As accepting would have left them, had they been readable then.
WITH given AS (
    SELECT * FROM unnest(
        %(inbox_ids)s::bigint[], %(channel_ids)s::bigint[], %(chats)s::text[], %(messages)s::jsonb[], %(digests)s::bytea[],
        %(stages)s::stage[], %(reasons)s::text[], %(batch_limits)s::smallint[]
    ) AS given (inbox_id, channel_id, chat, message, digest, stage, reason, batch_limit)
), slices AS (
    UPDATE inbox SET
        channel_id = given.channel_id, message = coalesce(given.message, inbox.message),
        digest = coalesce(given.digest, inbox.digest)
    FROM given WHERE inbox.id = given.inbox_id
), letters AS (
    UPDATE dead_letters SET channel_id = given.channel_id
    FROM given WHERE dead_letters.inbox_id = given.inbox_id AND dead_letters.channel_id <> given.channel_id
)
UPDATE inbox_state AS state SET
    chat_id = chats.id, stage = given.stage, reason = given.reason, due_at = clock_timestamp(),
    batch_limit = given.batch_limit,
    finished_at = CASE WHEN given.stage >= 'done' THEN clock_timestamp() END
FROM given LEFT JOIN chats ON chats.channel_id = given.channel_id AND chats.external_id = given.chat
WHERE state.inbox_id = given.inbox_id

-- name: into_outbox
-- Due now; its first try stays what it was, so it has one more. The key stays too: a receiver that has it already does
-- nothing. What a channel took and could not deliver would be nothing new to it under the same key.
UPDATE outbox SET
    state = 'pending', due_at = clock_timestamp(), sent_at = NULL,
    idempotency_key = CASE WHEN letters.reason = 'reported_failed' THEN gen_random_uuid() ELSE outbox.idempotency_key END
FROM dead_letters AS letters
WHERE outbox.id = ANY(%(outbox_ids)s) AND letters.outbox_id = outbox.id

-- name: died_again
-- Without having come into a step: their next death, with its attempt.
WITH given AS (
    SELECT * FROM unnest(
        %(letter_ids)s::bigint[], %(reasons)s::text[], %(fingerprints)s::text[], %(errors)s::text[], %(tracebacks)s::text[]
    ) AS given (id, reason, fingerprint, error, traceback)
), dead AS (
    UPDATE dead_letters AS letters SET
        reason = given.reason, fingerprint = given.fingerprint, error = given.error, traceback = given.traceback,
        attempts = letters.attempts + 1, deaths = letters.deaths + 1, died_at = clock_timestamp()
    FROM given WHERE letters.id = given.id
    RETURNING letters.*
), stated AS (
    UPDATE inbox_state AS state SET reason = dead.reason FROM dead WHERE state.inbox_id = dead.inbox_id
)
INSERT INTO failures (inbox_id, outbox_id, step, attempt, worker, reason, error, traceback)
SELECT inbox_id, outbox_id, step, attempts, %(worker)s, reason, error, traceback FROM dead

-- Receipts: what channels report of messages of ours (S5).
-- Lock order: receipts, each taken by one process only; then the outbox by id, last of all.

-- name: insert
-- Waits for nobody: it is part of the commit that accepts messages.
INSERT INTO receipts (channel_id, message_key, state)
SELECT * FROM unnest(%(channel_ids)s::bigint[], %(message_keys)s::uuid[], %(states)s::text[])

-- name: take
DELETE FROM receipts
WHERE id IN (SELECT id FROM receipts ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING channel_id, message_key, state

-- name: lock_named
-- Messages that their channel was given at least once; it cannot know of others.
SELECT outbox.id, outbox.channel_id, outbox.idempotency_key, outbox.state
FROM unnest(%(channel_ids)s::bigint[], %(message_keys)s::uuid[]) AS named (channel_id, message_key)
JOIN outbox ON outbox.idempotency_key = named.message_key AND outbox.channel_id = named.channel_id
WHERE outbox.first_tried_at IS NOT NULL
ORDER BY outbox.id FOR NO KEY UPDATE OF outbox

-- name: move
-- A receipt proves that it was handed over, whatever our own tries have said. What its channel could not deliver is a
-- dead letter, as what it did not take.
WITH moved AS (
    UPDATE outbox SET state = given.state, sent_at = coalesce(outbox.sent_at, now()), error = given.error
    FROM unnest(%(ids)s::bigint[], %(states)s::text[], %(errors)s::text[]) AS given (id, state, error)
    WHERE outbox.id = given.id
    RETURNING outbox.id, outbox.channel_id, outbox.attempts, outbox.state, outbox.error
), attempts AS (
    INSERT INTO failures (outbox_id, step, attempt, worker, reason, error, traceback)
    SELECT id, 'deliver', attempts, current_setting('application_name'), 'reported_failed', error, ''
    FROM moved WHERE state = 'failed'
)
INSERT INTO dead_letters (outbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback)
SELECT id, channel_id, 'deliver', 'reported_failed', 'reported_failed', attempts, error, ''
FROM moved WHERE state = 'failed'
ON CONFLICT (outbox_id) DO UPDATE SET
    reason = excluded.reason, fingerprint = excluded.fingerprint, attempts = excluded.attempts,
    error = excluded.error, deaths = dead_letters.deaths + 1, died_at = now()

-- name: wait
SELECT EXISTS (SELECT FROM receipts)

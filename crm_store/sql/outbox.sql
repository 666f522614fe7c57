-- The outbox: what is to be sent, in the order of each chat.
-- Lock order: last of all.

-- name: insert
INSERT INTO outbox (channel_id, chat_id, seq, dialog_id, state, error)
SELECT chats.channel_id, given.chat_id, given.seq, given.dialog_id,
    CASE WHEN channels.kind = ANY(%(sendable)s) THEN 'pending' ELSE 'held' END,
    CASE WHEN channels.kind = ANY(%(sendable)s) THEN '' ELSE 'sending over ' || channels.kind || ' is not built yet' END
FROM unnest(%(chat_ids)s::bigint[], %(seqs)s::bigint[], %(dialog_ids)s::bigint[]) AS given (chat_id, seq, dialog_id)
JOIN chats ON chats.id = given.chat_id
JOIN channels ON channels.id = chats.channel_id

-- name: lease
-- What is due, the first of each chat only. The lease is over before another worker may try: `due_at` is its end.
UPDATE outbox SET
    attempts = outbox.attempts + 1, first_tried_at = coalesce(outbox.first_tried_at, now()),
    due_at = now() + %(lease)s * interval '1 second'
FROM (
    SELECT id FROM outbox AS due
    WHERE state = 'pending' AND due_at > '-infinity' AND due_at <= now() AND NOT EXISTS (
        SELECT FROM outbox AS earlier
        WHERE earlier.state = 'pending' AND earlier.chat_id = due.chat_id AND earlier.seq < due.seq
    )
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) AS leased
JOIN outbox AS queued ON queued.id = leased.id
JOIN chats ON chats.id = queued.chat_id
JOIN messages ON messages.chat_id = queued.chat_id AND messages.seq = queued.seq
WHERE outbox.id = leased.id
RETURNING
    outbox.id, outbox.idempotency_key, outbox.channel_id, chats.external_id, messages.text, messages.sent_at,
    outbox.attempts, outbox.first_tried_at, now(), outbox.dialog_id

-- name: sent
-- Of the try that was leased, and of no other: a replay may have put the message back meanwhile, under another key.
UPDATE outbox SET state = 'sent', sent_at = now(), error = ''
WHERE id = %(id)s AND attempts = %(attempts)s AND idempotency_key = %(key)s AND state = 'pending'

-- name: retry
WITH tried AS (
    UPDATE outbox SET due_at = %(due_at)s, error = %(error)s
    WHERE id = %(id)s AND attempts = %(attempts)s AND idempotency_key = %(key)s AND state = 'pending'
    RETURNING id, attempts
)
INSERT INTO failures (outbox_id, step, attempt, worker, reason, error, traceback)
SELECT id, 'deliver', attempts, %(worker)s, %(reason)s, %(error)s, '' FROM tried

-- name: failed
-- One letter per delivery: a replay that fails again is the same letter's next death.
WITH given_up AS (
    UPDATE outbox SET state = 'failed', error = %(error)s
    WHERE id = %(id)s AND attempts = %(attempts)s AND idempotency_key = %(key)s AND state = 'pending'
    RETURNING id, channel_id, attempts
), attempt AS (
    INSERT INTO failures (outbox_id, step, attempt, worker, reason, error, traceback)
    SELECT id, 'deliver', attempts, %(worker)s, %(reason)s, %(error)s, '' FROM given_up
)
INSERT INTO dead_letters (outbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback)
SELECT id, channel_id, 'deliver', %(reason)s, %(reason)s, attempts, %(error)s, '' FROM given_up
ON CONFLICT (outbox_id) DO UPDATE SET
    reason = excluded.reason, fingerprint = excluded.fingerprint, attempts = excluded.attempts,
    error = excluded.error, deaths = dead_letters.deaths + 1, died_at = now()

-- name: expire_held
UPDATE outbox SET state = 'expired' WHERE dialog_id = ANY(%(dialog_ids)s) AND state = 'held'

-- name: oldest_due
-- What `lease` would take: behind one that is being sent or tried again, its chat has nothing due. It stops at the first:
-- each clock asks twice a second, however much waits.
SELECT extract(epoch FROM now() - due_at)::float8 FROM outbox AS due
WHERE state = 'pending' AND due_at > '-infinity' AND due_at <= now() AND NOT EXISTS (
    SELECT FROM outbox AS earlier
    WHERE earlier.state = 'pending' AND earlier.chat_id = due.chat_id AND earlier.seq < due.seq
)
ORDER BY due_at LIMIT 1

-- The inbox: accepting, claiming, moving on.
-- Lock order: chats (accept inserts them, claims lock them), then everything that a step locks.

-- name: insert_keys
-- Which of these are new. Sorted, so that two processes that insert the same keys never wait in a circle.
-- Before all other locks the one that an erase takes alone: a chat that is found stays until its message is committed.
INSERT INTO inbox_keys (channel_id, key_hash, day)
SELECT channel_id, key_hash, day
FROM (SELECT pg_advisory_xact_lock_shared(hashtextextended('openchannel accept', 0))) AS no_erase
CROSS JOIN unnest(%(channel_ids)s::bigint[], %(key_hashes)s::bytea[], %(days)s::date[])
    AS given (channel_id, key_hash, day)
ORDER BY channel_id, key_hash
ON CONFLICT DO NOTHING
RETURNING channel_id, key_hash

-- name: insert_chats
-- Sorted, as above. Most are there already: those are found by a look-up, which is far cheaper than a conflict.
INSERT INTO chats (channel_id, external_id, customer_id, name)
SELECT DISTINCT ON (channel_id, external_id) channel_id, external_id, customer_id, name
FROM unnest(%(channel_ids)s::bigint[], %(chats)s::text[], %(customers)s::text[], %(names)s::text[])
    AS given (channel_id, external_id, customer_id, name)
WHERE NOT EXISTS (
    SELECT FROM chats WHERE chats.channel_id = given.channel_id AND chats.external_id = given.external_id
)
ORDER BY channel_id, external_id
ON CONFLICT DO NOTHING

-- name: insert_items
-- In the order given: ids follow the order of arrival, also over several processes (one sequence, no cache). Received and
-- accepted at the same moment, PostgreSQL's: by it a step finds the partition of an item.
WITH numbered AS (
    SELECT nextval('inbox_id_seq') AS id, moment.received_at, given.*
    FROM (
        SELECT *
        FROM unnest(
            %(channel_ids)s::bigint[], %(chats)s::text[], %(messages)s::jsonb[], %(digests)s::bytea[],
            %(raws)s::bytea[], %(headers)s::jsonb[], %(stages)s::stage[], %(reasons)s::text[]
        ) WITH ORDINALITY AS given (channel_id, chat, message, digest, raw, headers, stage, reason, position)
        ORDER BY position
    ) AS given
    CROSS JOIN (SELECT coalesce(%(received_at)s::timestamptz, now())) AS moment (received_at)
), kept AS (
    INSERT INTO inbox (id, channel_id, received_at, message, digest, raw, headers)
    SELECT id, channel_id, received_at, message, digest, raw, headers FROM numbered
), placed AS (
    INSERT INTO inbox_state (inbox_id, chat_id, stage, reason, accepted_at, finished_at)
    SELECT
        numbered.id, chats.id, numbered.stage, numbered.reason, numbered.received_at,
        CASE WHEN numbered.stage >= 'done' THEN now() END
    FROM numbered
    LEFT JOIN chats ON chats.channel_id = numbered.channel_id AND chats.external_id = numbered.chat
)
SELECT id FROM numbered ORDER BY position

-- name: insert_unread
-- Dead letters of bodies that could not be read, or that PostgreSQL refused, with their first attempt.
WITH given AS (
    SELECT * FROM unnest(
        %(inbox_ids)s::bigint[], %(channel_ids)s::bigint[], %(steps)s::text[], %(reasons)s::text[],
        %(fingerprints)s::text[], %(errors)s::text[], %(tracebacks)s::text[], %(whole_bodies)s::boolean[]
    ) AS given (inbox_id, channel_id, step, reason, fingerprint, error, traceback, whole_body)
), attempts AS (
    INSERT INTO failures (inbox_id, step, attempt, worker, reason, error, traceback)
    SELECT inbox_id, step, 1, current_setting('application_name'), reason, error, traceback FROM given
)
INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback, whole_body)
SELECT inbox_id, channel_id, step, reason, fingerprint, 1, error, traceback, whole_body FROM given

-- name: lock_chats
-- Chats of the named items, and of those that have waited longest in this step. Those that another worker has are left out.
WITH candidates AS MATERIALIZED (
    SELECT inbox_id, chat_id FROM inbox_state WHERE inbox_id = ANY(%(named)s) AND stage = %(step)s
    UNION (
        SELECT inbox_id, chat_id FROM inbox_state
        WHERE stage = %(step)s AND stage < 'done' AND due_at > '-infinity' AND due_at <= now()
        ORDER BY due_at
        LIMIT %(limit)s OFFSET %(offset)s
    )
), locked AS (
    SELECT id FROM chats WHERE id = ANY(ARRAY(SELECT chat_id FROM candidates))
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
SELECT
    ARRAY(SELECT id FROM locked), count(*), count(DISTINCT chat_id),
    ARRAY(SELECT inbox_id FROM candidates WHERE chat_id NOT IN (SELECT id FROM locked))
FROM candidates

-- name: left_behind
-- Which of these still stand in the step, and neither in a chat that was locked since nor in a batch of another worker,
-- which would take care of them.
SELECT inbox_id FROM inbox_state
WHERE inbox_id = ANY(%(inbox_ids)s) AND stage = %(step)s AND due_at <= now() AND chat_id <> ALL(%(locked)s::bigint[])
    AND inbox_id NOT IN (SELECT unnest(inbox_ids) FROM batches)

-- name: pending_of_chats
-- What stands in this step or before it, per locked chat, in the chat's order. A statement of its own, after the
-- lock: a snapshot that is older than the lock would show items that another worker has moved on.
SELECT
    state.inbox_id, state.chat_id, state.chat_seq, state.stage, state.due_at <= clock_timestamp() AS is_due,
    state.batch_limit, state.card_id, state.dialog_id
FROM unnest(%(chat_ids)s::bigint[]) AS claimed (chat_id)
CROSS JOIN LATERAL (
    SELECT * FROM inbox_state
    WHERE inbox_state.chat_id = claimed.chat_id AND stage < 'done' AND stage <= %(step)s
    ORDER BY chat_seq NULLS LAST, inbox_id
    LIMIT %(limit)s OFFSET 0
) AS state
ORDER BY state.chat_id, state.chat_seq NULLS LAST, state.inbox_id

-- name: read_messages
-- Normalised message of claimed items, unless the task carried the very same text. LATERAL: item by item, so that only the
-- partition is looked into that holds it.
SELECT item.id, CASE WHEN item.digest = claimed.digest THEN NULL ELSE item.message::text END
FROM unnest(%(inbox_ids)s::bigint[], %(digests)s::bytea[]) AS claimed (inbox_id, digest)
JOIN inbox_state AS state ON state.inbox_id = claimed.inbox_id
CROSS JOIN LATERAL (
    SELECT id, digest, message FROM inbox
    WHERE inbox.id = state.inbox_id AND inbox.received_at = state.accepted_at OFFSET 0
) AS item

-- name: read_heads
-- Who wrote claimed items, and when; the whole message only where it is of one of these kinds.
SELECT
    item.id, said.kind, coalesce(said.name, ''), coalesce(said.customer_id, ''), said.received_at, state.found::text,
    CASE WHEN said.kind = ANY(%(kinds)s) THEN item.message::text END
FROM unnest(%(inbox_ids)s::bigint[]) AS claimed (inbox_id)
JOIN inbox_state AS state ON state.inbox_id = claimed.inbox_id
CROSS JOIN LATERAL (
    SELECT id, message FROM inbox
    WHERE inbox.id = state.inbox_id AND inbox.received_at = state.accepted_at OFFSET 0
) AS item
CROSS JOIN LATERAL jsonb_to_record(item.message) AS said (
    kind text, name text, customer_id text, received_at timestamptz
)

-- name: agree_on_times
-- What a process of the version before partitions accepted has two times, of different clocks.
UPDATE inbox_state AS state SET accepted_at = inbox.received_at
FROM inbox WHERE state.inbox_id = ANY(%(inbox_ids)s) AND inbox.id = state.inbox_id

-- name: defer_behind
-- Items that stand behind one that is retried wait as long as it does, and not at the head of the line.
UPDATE inbox_state AS state SET due_at = behind.due_at
FROM (
    SELECT item.inbox_id, head.due_at
    FROM unnest(%(inbox_ids)s::bigint[]) AS retried (inbox_id)
    JOIN inbox_state AS head ON head.inbox_id = retried.inbox_id
    CROSS JOIN LATERAL (
        SELECT inbox_id FROM inbox_state AS later
        WHERE later.chat_id = head.chat_id AND later.stage = %(step)s AND later.stage < 'done'
            AND later.due_at < head.due_at AND later.due_at <= clock_timestamp() AND (
                later.chat_seq > head.chat_seq
                OR later.chat_seq IS NULL AND (head.chat_seq IS NOT NULL OR later.inbox_id > head.inbox_id)
            )
        ORDER BY later.chat_seq, later.inbox_id LIMIT %(most)s OFFSET 0
    ) AS item
) AS behind
WHERE state.inbox_id = behind.inbox_id AND state.stage = %(step)s

-- name: move_items
-- To their next stages, on condition that they still stand in this one: a doubled or late task changes nothing. With it
-- the batch ends, and what was finished and what it cost is booked.
WITH moved AS (
    UPDATE inbox_state AS state SET
        stage = given.stage, due_at = clock_timestamp(), attempts = 0, first_failed_at = NULL, crashes = 0,
        batch_limit = NULL, reason = given.reason,
        chat_seq = coalesce(given.chat_seq, state.chat_seq),
        found = coalesce(given.found, state.found),
        card_id = coalesce(given.card_id, state.card_id),
        dialog_id = coalesce(given.dialog_id, state.dialog_id),
        looked_up_at = CASE WHEN %(step)s = 'crm_lookup' THEN clock_timestamp() ELSE state.looked_up_at END,
        bound_at = CASE WHEN %(step)s = 'bind_chat' THEN clock_timestamp() ELSE state.bound_at END,
        carded_at = CASE WHEN %(step)s = 'ensure_card' THEN clock_timestamp() ELSE state.carded_at END,
        distributed_at = CASE WHEN %(step)s = 'distribute' THEN clock_timestamp() ELSE state.distributed_at END,
        finished_at = CASE WHEN given.stage >= 'done' THEN clock_timestamp() END
    FROM unnest(
        %(inbox_ids)s::bigint[], %(stages)s::stage[], %(reasons)s::text[], %(chat_seqs)s::bigint[],
        %(found)s::jsonb[], %(card_ids)s::bigint[], %(dialog_ids)s::bigint[]
    ) AS given (inbox_id, stage, reason, chat_seq, found, card_id, dialog_id)
    WHERE state.inbox_id = given.inbox_id AND state.stage = %(step)s::text::stage
    RETURNING state.stage
), booked AS (
    INSERT INTO ledger (outcome, n) SELECT stage, count(*) FROM moved WHERE stage IN ('done', 'ignored') GROUP BY stage
), costs AS (
    INSERT INTO step_costs (step, batches, items, seconds)
    VALUES (%(step)s::text, 1, cardinality(%(inbox_ids)s::bigint[]), %(seconds)s)
), ended AS (
    DELETE FROM batches WHERE id = %(batch_id)s
)
SELECT count(*) FROM moved

-- name: begin_batch
INSERT INTO batches (step, worker, backend_pid, backend_start, inbox_ids)
VALUES (%(step)s, %(worker)s, %(backend_pid)s, %(backend_start)s, %(inbox_ids)s::bigint[])
RETURNING id, EXISTS (SELECT FROM batches WHERE inbox_ids && %(inbox_ids)s::bigint[])

-- name: end_batch
DELETE FROM batches WHERE id = %(id)s

-- name: end_batches_of_worker
DELETE FROM batches WHERE worker = %(worker)s AND step = %(step)s

-- name: session_start
SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()

-- name: crashed_batches
-- Batches of this step whose session is gone. One from before the server's start was not its worker's fault.
DELETE FROM batches
WHERE id IN (
    SELECT id FROM batches
    WHERE step = %(step)s AND NOT EXISTS (
        SELECT FROM pg_stat_activity AS session
        WHERE session.pid = batches.backend_pid AND session.backend_start = batches.backend_start
    )
    FOR UPDATE SKIP LOCKED
)
RETURNING inbox_ids, worker, started_at > pg_postmaster_start_time()

-- name: suspect_items
-- Items of a crashed batch are run again at half its size.
UPDATE inbox_state SET batch_limit = least(batch_limit, %(limit)s)
WHERE inbox_id = ANY(%(inbox_ids)s) AND stage = %(step)s

-- name: count_crash
UPDATE inbox_state SET crashes = crashes + 1, batch_limit = 1, first_failed_at = coalesce(first_failed_at, now())
WHERE inbox_id = %(inbox_id)s AND stage = %(step)s
RETURNING crashes

-- name: lock_chats_of
-- Before the items themselves, as a claim locks them.
SELECT id FROM chats WHERE id = ANY(ARRAY(SELECT chat_id FROM inbox_state WHERE inbox_id = ANY(%(inbox_ids)s)))
ORDER BY id FOR NO KEY UPDATE

-- name: failing_item
-- A failed item as it stands now, locked, with the database's clock. What its step was paused since its first failure
-- does not count: that is moved on by it.
SELECT
    attempts,
    first_failed_at + (
        SELECT coalesce(sum(coalesce(ended_at, now()) - greatest(since, first_failed_at)), interval '0')
        FROM step_brakes WHERE step = stage AND coalesce(ended_at, now()) > first_failed_at
    ),
    now(),
    EXISTS (SELECT FROM step_brakes WHERE step = stage AND ended_at IS NULL),
    EXISTS (SELECT FROM dead_letters WHERE dead_letters.inbox_id = inbox_state.inbox_id)
FROM inbox_state
WHERE inbox_id = %(inbox_id)s AND stage = %(step)s
FOR NO KEY UPDATE

-- name: retry_item
UPDATE inbox_state SET
    attempts = attempts + 1, first_failed_at = coalesce(first_failed_at, now()), due_at = %(due_at)s, batch_limit = 1
WHERE inbox_id = %(inbox_id)s

-- name: bury_item
-- Its place in the history stays its own, for a replay; the first step had not fixed it yet. The chat is locked.
WITH buried AS (
    UPDATE inbox_state SET stage = 'dead', reason = %(reason)s, finished_at = now()
    WHERE inbox_id = %(inbox_id)s AND stage = %(step)s
    RETURNING inbox_id, chat_id, chat_seq
), placed AS (
    UPDATE chats SET last_seq = last_seq + 1
    FROM buried WHERE chats.id = buried.chat_id AND buried.chat_seq IS NULL
    RETURNING buried.inbox_id, chats.last_seq
)
SELECT placed.last_seq FROM buried LEFT JOIN placed USING (inbox_id)

-- name: place_buried
UPDATE inbox_state SET chat_seq = %(chat_seq)s WHERE inbox_id = %(inbox_id)s

-- name: insert_failure
INSERT INTO failures (inbox_id, step, attempt, worker, reason, error, traceback)
VALUES (%(inbox_id)s, %(step)s, %(attempt)s, %(worker)s, %(reason)s, %(error)s, %(traceback)s)

-- name: insert_dead_letter
-- One letter per item: a replay that fails again is the same letter's next death.
INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback)
SELECT id, channel_id, %(step)s, %(reason)s, %(fingerprint)s, %(attempts)s, %(error)s, %(traceback)s
FROM inbox WHERE id = %(inbox_id)s
ON CONFLICT (inbox_id) DO UPDATE SET
    step = excluded.step, reason = excluded.reason, fingerprint = excluded.fingerprint,
    attempts = dead_letters.attempts + 1, error = excluded.error, traceback = excluded.traceback,
    deaths = dead_letters.deaths + 1, died_at = now()

-- name: oldest_due
-- Since when the oldest due item of each step has waited, in seconds.
SELECT step.stage::text, extract(epoch FROM now() - oldest.due_at)::float8
FROM unnest('{crm_lookup,bind_chat,ensure_card,distribute,respond}'::stage[]) AS step (stage)
CROSS JOIN LATERAL (
    SELECT due_at FROM inbox_state
    WHERE inbox_state.stage = step.stage AND inbox_state.stage < 'done' AND due_at > '-infinity' AND due_at <= now()
    ORDER BY due_at LIMIT 1
) AS oldest

-- name: forget_keys
-- Some at a time, each in a commit of its own: a day's keys are too many for one statement.
DELETE FROM inbox_keys WHERE (channel_id, key_hash) IN (
    SELECT channel_id, key_hash FROM inbox_keys WHERE day < current_date - %(days)s::integer LIMIT %(limit)s
)

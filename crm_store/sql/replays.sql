-- Replays of dead letters.
-- Lock order: the replay's row before everything else that is locked with it; an act locks it alone.

-- name: start
INSERT INTO replays (actor, selection, rate, canary, max_failures, total)
VALUES (%(actor)s, %(selection)s::jsonb, %(rate)s, %(canary)s, %(max_failures)s, %(total)s)
RETURNING id

-- name: add_letters
INSERT INTO replay_items (replay_id, position, letter_id)
SELECT %(replay_id)s, position, letter_id
FROM unnest(%(letter_ids)s::bigint[]) WITH ORDINALITY AS given (letter_id, position)

-- name: at_work
SELECT id FROM replays WHERE state = 'running' OR under_way > 0 ORDER BY id

-- name: take
-- For a clock: nothing if another one drives it at the moment.
SELECT id, actor, state, rate, canary, max_failures, run, next_at, clock_timestamp(),
    total - under_way - done - failed - skipped, under_way, done, failed, skipped
FROM replays WHERE id = %(replay_id)s FOR NO KEY UPDATE SKIP LOCKED

-- name: settle
-- What has become of the letters that were sent: one more death is a failure; a final state is a success, whatever a
-- person has done since. Of some nothing is left (an erase). Returns how many of each.
WITH ended AS (
    SELECT items.position, result.*
    FROM replay_items AS items
    LEFT JOIN dead_letters AS letters ON letters.id = items.letter_id
    LEFT JOIN inbox_state AS item ON item.inbox_id = letters.inbox_id
    LEFT JOIN outbox AS delivery ON delivery.id = letters.outbox_id
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN letters.deaths > items.deaths THEN 'failed'
                WHEN item.stage IS NULL AND delivery.state IS NULL THEN 'skipped'
                WHEN item.stage >= 'done' OR delivery.state NOT IN ('pending', 'held') THEN 'done'
            END,
            CASE
                WHEN letters.deaths > items.deaths THEN letters.reason
                WHEN item.stage IS NULL AND delivery.state IS NULL THEN 'gone'
                WHEN item.stage = 'ignored' THEN coalesce(item.reason, 'ignored')
                ELSE coalesce(item.stage::text, delivery.state)
            END
    ) AS result (state, outcome)
    WHERE items.replay_id = %(replay_id)s AND items.state = 'sent' AND result.state IS NOT NULL
), settled AS (
    UPDATE replay_items AS items SET state = ended.state, outcome = ended.outcome, ended_at = clock_timestamp()
    FROM ended
    WHERE items.replay_id = %(replay_id)s AND items.position = ended.position
    RETURNING items.state
)
SELECT
    count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'failed'),
    count(*) FILTER (WHERE state = 'skipped')
FROM settled

-- name: canary
-- How the first letters of this run have fared.
SELECT state FROM replay_items
WHERE replay_id = %(replay_id)s AND run = %(run)s ORDER BY position LIMIT %(canary)s

-- name: judged
-- How many of the last finished letters of this run failed, and of how many.
SELECT count(*) FILTER (WHERE state = 'failed'), count(*)
FROM (
    SELECT state FROM replay_items
    WHERE replay_id = %(replay_id)s AND run = %(run)s AND state IN ('done', 'failed')
    ORDER BY ended_at DESC, position DESC LIMIT %(limit)s
) AS last

-- name: waiting
SELECT position, letter_id FROM replay_items
WHERE replay_id = %(replay_id)s AND state = 'waiting' ORDER BY position LIMIT %(limit)s

-- name: mark
-- What was tried: under way from now on, or at its end at once.
UPDATE replay_items AS items SET
    state = given.state, outcome = given.outcome, deaths = given.deaths,
    run = CASE WHEN given.state = 'skipped' THEN NULL ELSE %(run)s::integer END,
    sent_at = CASE WHEN given.state = 'skipped' THEN NULL ELSE clock_timestamp() END,
    ended_at = CASE WHEN given.state = 'sent' THEN NULL ELSE clock_timestamp() END
FROM unnest(%(positions)s::integer[], %(states)s::text[], %(outcomes)s::text[], %(deaths)s::integer[])
    AS given (position, state, outcome, deaths)
WHERE items.replay_id = %(replay_id)s AND items.position = given.position AND items.state = 'waiting'

-- name: advance
UPDATE replays SET
    next_at = %(next_at)s, under_way = under_way + %(under_way)s, done = done + %(done)s, failed = failed + %(failed)s,
    skipped = skipped + %(skipped)s
WHERE id = %(replay_id)s

-- name: set_state
UPDATE replays SET state = %(state)s, reason = %(reason)s, changed_at = clock_timestamp() WHERE id = %(replay_id)s

-- name: lock
SELECT state FROM replays WHERE id = %(replay_id)s FOR NO KEY UPDATE

-- name: stop
UPDATE replays SET state = 'stopped', reason = 'asked', changed_by = %(actor)s, changed_at = clock_timestamp()
WHERE id = %(replay_id)s

-- name: resume
-- The rate begins anew: what was not sent meanwhile is not made up for.
UPDATE replays SET
    state = 'running', reason = '', changed_by = %(actor)s, changed_at = clock_timestamp(), run = run + 1,
    next_at = clock_timestamp()
WHERE id = %(replay_id)s

-- name: list
-- Replays, the newest first.
SELECT
    id, actor, asked_at, selection, rate, canary, max_failures, state, reason, changed_by, changed_at, total,
    total - under_way - done - failed - skipped, under_way, done, failed, skipped
FROM replays
WHERE (%(replay_id)s::bigint IS NULL OR id = %(replay_id)s::bigint)
    AND (%(before)s::bigint IS NULL OR id < %(before)s::bigint)
ORDER BY id DESC LIMIT %(limit)s

-- name: outcomes
SELECT state, outcome, count(*) FROM replay_items WHERE replay_id = %(replay_id)s AND ended_at IS NOT NULL
GROUP BY state, outcome ORDER BY count(*) DESC, state, outcome

-- name: items
SELECT position, letter_id, state, outcome, sent_at, ended_at FROM replay_items
WHERE replay_id = %(replay_id)s AND position > %(after)s AND (%(state)s::text IS NULL OR state = %(state)s::text)
ORDER BY position LIMIT %(limit)s

-- name: forget
-- Those that ended long ago, with their letters; some at a time.
WITH old AS (
    SELECT id FROM replays
    WHERE state <> 'running' AND under_way = 0 AND changed_at < now() - %(days)s * interval '1 day'
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), letters AS (
    DELETE FROM replay_items USING old WHERE replay_items.replay_id = old.id
)
DELETE FROM replays USING old WHERE replays.id = old.id

-- name: by_state
SELECT state, count(*) FROM replays GROUP BY state

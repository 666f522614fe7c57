-- Brakes of steps. What stands in the step is not touched: a failed item's time is read without its step's pauses.
-- Lock order: a brake's row alone, in a transaction of its own.

-- name: on
SELECT step::text, since, pauses, extract(epoch FROM resumes_at - now())::float8, reason, fingerprint, worker
FROM step_brakes WHERE ended_at IS NULL ORDER BY step

-- name: is_on
SELECT EXISTS (SELECT FROM step_brakes WHERE step = %(step)s AND ended_at IS NULL)

-- name: pauses_before
SELECT pauses FROM step_brakes
WHERE step = %(step)s AND ended_at > now() - %(remembered)s * interval '1 second'
ORDER BY number DESC LIMIT 1

-- name: engage
-- Of many workers who find the same, one makes the brake.
INSERT INTO step_brakes (step, number, pauses, resumes_at, reason, fingerprint, worker)
SELECT
    %(step)s::text::stage, coalesce(max(number), 0) + 1, %(pauses)s, now() + %(pause)s * interval '1 second',
    %(reason)s, %(fingerprint)s, %(worker)s
FROM step_brakes WHERE step = %(step)s::text::stage
ON CONFLICT DO NOTHING
RETURNING number

-- name: begin_probe
-- One worker at a time. If it dies, or loses its connection, the next one tries when the lease is over.
UPDATE step_brakes SET resumes_at = now() + %(lease)s * interval '1 second'
WHERE step = %(step)s AND ended_at IS NULL AND resumes_at <= now()
RETURNING number, pauses

-- name: pause_again
UPDATE step_brakes SET pauses = %(pauses)s, resumes_at = now() + %(pause)s * interval '1 second'
WHERE step = %(step)s AND number = %(number)s AND ended_at IS NULL

-- name: release
UPDATE step_brakes SET ended_at = now()
WHERE step = %(step)s AND number = %(number)s AND ended_at IS NULL
RETURNING since, extract(epoch FROM now() - since)::float8, pauses, reason, fingerprint

-- name: to_probe
-- The first items of some chats, those that have failed least first: new ones tell more than what failed before. Any of
-- them: what came in one after another may have one fault. Only those that a claim would take: behind an item that is
-- retried its chat waits. After a long pause the whole desk stands here, so of the line both ends are looked at.
WITH ends AS (
    (SELECT chat_id FROM inbox_state
     WHERE stage = %(step)s AND stage < 'done' AND due_at > '-infinity' AND due_at <= now()
     ORDER BY due_at LIMIT %(looked_at)s)
    UNION
    (SELECT chat_id FROM inbox_state
     WHERE stage = %(step)s AND stage < 'done' AND due_at > '-infinity' AND due_at <= now()
     ORDER BY due_at DESC LIMIT %(looked_at)s)
)
SELECT first.inbox_id
FROM ends CROSS JOIN LATERAL (
    SELECT inbox_id, stage, due_at, attempts FROM inbox_state
    WHERE inbox_state.chat_id = ends.chat_id AND stage < 'done' AND stage <= %(step)s
    ORDER BY chat_seq NULLS LAST, inbox_id LIMIT 1 OFFSET 0
) AS first
WHERE first.stage = %(step)s AND first.due_at <= clock_timestamp()
ORDER BY first.attempts, random() LIMIT %(limit)s

-- name: something_stands
SELECT EXISTS (SELECT FROM inbox_state WHERE stage = %(step)s AND stage < 'done' AND due_at > '-infinity')

-- name: engaged
-- How often each step was paused, ever.
SELECT step::text, max(number) FROM step_brakes GROUP BY step

-- name: forget
-- Long ended ones; the last of each step stays, because it counts.
DELETE FROM step_brakes
WHERE ended_at < now() - interval '30 days'
    AND number < (SELECT max(number) FROM step_brakes AS other WHERE other.step = step_brakes.step)

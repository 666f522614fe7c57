-- Alerts: raised by whoever finds something, sent by a clock.
-- Lock order: alert_watch, then nothing; an alert's row alone.

-- name: raise
INSERT INTO alerts (kind, subject, details) VALUES (%(kind)s, %(subject)s, %(details)s::jsonb)

-- name: begin_look
-- One clock at a time. Letters that committed late, beside those that were seen, are seen by the next look.
SELECT looked_at - interval '2 minutes', coalesce(rate_alerted_at < now() - %(every)s * interval '1 second', true)
FROM alert_watch FOR UPDATE SKIP LOCKED

-- name: end_look
UPDATE alert_watch SET
    looked_at = now(), rate_alerted_at = CASE WHEN %(rate_alerted)s THEN now() ELSE rate_alerted_at END

-- name: forget_groups
DELETE FROM dead_letter_groups WHERE last_seen_at < now() - interval '7 days'

-- name: new_groups
WITH died AS (
    SELECT step, reason, fingerprint, count(*) AS letters, max(id) AS example, max(died_at) AS last_died_at
    FROM dead_letters WHERE died_at >= %(since)s
    GROUP BY step, reason, fingerprint
), fresh AS (
    INSERT INTO dead_letter_groups (step, reason, fingerprint, last_seen_at)
    SELECT step, reason, fingerprint, last_died_at FROM died
    ON CONFLICT DO NOTHING
    RETURNING step, reason, fingerprint
)
SELECT step, reason, fingerprint, letters, example FROM died JOIN fresh USING (step, reason, fingerprint)
ORDER BY step, reason, fingerprint

-- name: see_groups
UPDATE dead_letter_groups AS known SET last_seen_at = died.last_died_at
FROM (
    SELECT step, reason, fingerprint, max(died_at) AS last_died_at
    FROM dead_letters WHERE died_at >= %(since)s
    GROUP BY step, reason, fingerprint
) AS died
WHERE (known.step, known.reason, known.fingerprint) = (died.step, died.reason, died.fingerprint)
    AND known.last_seen_at < died.last_died_at - interval '1 minute'

-- name: deaths_of_last_minute
SELECT count(*) FROM dead_letters WHERE died_at > now() - interval '1 minute'

-- name: lease
-- Those that another clock is sending are left to it; if it dies, they are due again when the lease is over.
UPDATE alerts SET
    attempts = attempts + 1, due_at = now() + %(lease)s * interval '1 second',
    first_tried_at = coalesce(first_tried_at, now())
WHERE id IN (
    SELECT id FROM alerts WHERE state = 'waiting' AND due_at <= now()
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id, message_id::text, at, kind, subject, details::text, attempts, first_tried_at, now()

-- name: end
UPDATE alerts SET state = %(state)s, ended_at = now(), error = %(error)s
WHERE id = %(id)s AND attempts = %(attempts)s AND state = 'waiting'

-- name: retry
UPDATE alerts SET due_at = %(due_at)s, error = %(error)s
WHERE id = %(id)s AND attempts = %(attempts)s AND state = 'waiting'

-- name: forget
DELETE FROM alerts WHERE at < now() - interval '30 days'

-- name: by_state
SELECT state, count(*) FROM alerts GROUP BY state

-- How often something has died, ever, by step and reason. Written by triggers of dead_letters; locks nothing.

-- name: read
SELECT step, reason, sum(n)::bigint FROM deaths GROUP BY step, reason ORDER BY step, reason

-- name: fold
-- One row per step and reason again, as the ledger is folded.
WITH gone AS (DELETE FROM deaths RETURNING step, reason, n)
INSERT INTO deaths (step, reason, n) SELECT step, reason, sum(n) FROM gone GROUP BY step, reason

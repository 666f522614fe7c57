-- What the steps cost. Append-only like the ledger, and folded by the clock.

-- name: enter
INSERT INTO step_costs (step, batches, items, seconds) VALUES (%(step)s, 1, %(items)s, %(seconds)s)

-- name: read
SELECT step, sum(batches)::bigint, sum(items)::bigint, sum(seconds) FROM step_costs GROUP BY step ORDER BY step

-- name: fold
WITH gone AS (DELETE FROM step_costs RETURNING step, batches, items, seconds)
INSERT INTO step_costs (step, batches, items, seconds)
SELECT step, sum(batches), sum(items), sum(seconds) FROM gone GROUP BY step

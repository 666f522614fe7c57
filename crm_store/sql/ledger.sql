-- The ledger: accepted = done + ignored + dead + discarded + pending, in items.

-- name: enter
INSERT INTO ledger (outcome, n)
SELECT outcome, n FROM unnest(%(outcomes)s::text[], %(counts)s::bigint[]) AS given (outcome, n)

-- name: read
-- Both sides in one snapshot: pending is counted where the items stand, the rest was entered by each commit.
SELECT outcome, sum(n)::bigint FROM ledger GROUP BY outcome
UNION ALL
SELECT 'pending', count(*) FROM inbox_state WHERE stage < 'done'

-- name: fold
-- One row per outcome again. Entries that are written meanwhile are not seen and stay.
WITH gone AS (DELETE FROM ledger RETURNING outcome, n)
INSERT INTO ledger (outcome, n) SELECT outcome, sum(n) FROM gone GROUP BY outcome

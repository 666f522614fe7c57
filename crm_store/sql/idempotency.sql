-- Acts that were done under a key are not done again.
-- Lock order: the key first, before anything that the act locks; nobody waits for a key while holding other locks.

-- name: claim
-- A concurrent act under the same key is waited for here, on the primary key; if it is rolled back, this one has the key.
INSERT INTO idempotency_keys (actor, key, act, fingerprint)
VALUES (%(actor)s, %(key)s, %(act)s, %(fingerprint)s)
ON CONFLICT (actor, key) DO NOTHING
RETURNING true

-- name: done
SELECT fingerprint, result FROM idempotency_keys WHERE actor = %(actor)s AND key = %(key)s

-- name: keep
UPDATE idempotency_keys SET result = %(result)s::jsonb WHERE actor = %(actor)s AND key = %(key)s

-- name: forget
-- The oldest first. SKIP LOCKED: several clocks forget at once.
DELETE FROM idempotency_keys WHERE (actor, key) IN (
    SELECT actor, key FROM idempotency_keys WHERE at < now() - %(hours)s * interval '1 hour'
    ORDER BY at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)

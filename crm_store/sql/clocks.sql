-- Clocks sign here, so that `openchannel doctor` can tell whether one runs. Locks its own row only.

-- name: sign
INSERT INTO clocks (name) VALUES (%(name)s) ON CONFLICT (name) DO UPDATE SET seen_at = now()

-- name: sign_off
DELETE FROM clocks WHERE name = %(name)s

-- name: forget
-- Those that were killed. SKIP LOCKED: several clocks tidy up at once.
DELETE FROM clocks WHERE name IN (
    SELECT name FROM clocks WHERE seen_at < now() - interval '1 hour' FOR UPDATE SKIP LOCKED
)

-- name: silences
SELECT extract(epoch FROM clock_timestamp() - seen_at)::float8 FROM clocks ORDER BY seen_at DESC

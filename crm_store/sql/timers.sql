-- Deadlines of backlogs (dialog 0) and of dialogs. Read unlocked, looked at again under the locks of what they are about.
-- Lock order: after dialogs, by kind, open channel and dialog.

-- name: set_backlogs
-- An earlier deadline that is set already stays; the generation tells that somebody has set it since.
INSERT INTO timers (kind, open_channel_id, dialog_id, due_at)
SELECT 'backlog', open_channel_id, 0, now() + %(seconds)s * interval '1 second'
FROM unnest(%(open_channel_ids)s::bigint[]) AS given (open_channel_id) ORDER BY open_channel_id
ON CONFLICT (kind, open_channel_id, dialog_id) DO UPDATE
SET due_at = least(timers.due_at, excluded.due_at), generation = timers.generation + 1

-- name: read_backlogs
SELECT open_channel_id, generation, due_at <= now() FROM timers
WHERE kind = 'backlog' AND open_channel_id = ANY(%(open_channel_ids)s) AND dialog_id = 0

-- name: settle_backlogs
-- All in one pass, in the order of all who set them. What is not to be tried is dropped right after.
INSERT INTO timers (kind, open_channel_id, dialog_id, due_at)
SELECT 'backlog', given.place, 0, coalesce(now() + given.seconds * interval '1 second', 'infinity')
FROM unnest(%(open_channel_ids)s::bigint[], %(seconds)s::float8[], %(generations)s::bigint[])
    AS given (place, seconds, generation)
ORDER BY given.place
ON CONFLICT (kind, open_channel_id, dialog_id) DO UPDATE SET
    due_at = CASE
        WHEN timers.generation = (
            SELECT given.generation
            FROM unnest(%(open_channel_ids)s::bigint[], %(generations)s::bigint[]) AS given (place, generation)
            WHERE given.place = timers.open_channel_id
        ) THEN excluded.due_at
        ELSE least(timers.due_at, excluded.due_at)
    END,
    generation = timers.generation + 1

-- name: drop_backlogs
DELETE FROM timers
WHERE kind = 'backlog' AND open_channel_id = ANY(%(open_channel_ids)s) AND dialog_id = 0 AND due_at = 'infinity'

-- name: postpone_backlog
UPDATE timers SET due_at = now() + %(seconds)s * interval '1 second', generation = generation + 1
WHERE kind = 'backlog' AND open_channel_id = %(open_channel_id)s AND dialog_id = 0

-- name: due_backlogs
SELECT open_channel_id FROM timers WHERE kind = 'backlog' AND due_at <= now() ORDER BY due_at LIMIT %(limit)s

-- name: set_clocks
-- A clock that is set anew is another one, and starts from the beginning.
INSERT INTO timers (kind, open_channel_id, dialog_id, due_at)
SELECT given.kind, given.open_channel_id, given.dialog_id, now() + given.seconds * interval '1 second'
FROM unnest(
    %(kinds)s::text[], %(open_channel_ids)s::bigint[], %(dialog_ids)s::bigint[], %(seconds)s::float8[]
) AS given (kind, open_channel_id, dialog_id, seconds)
ORDER BY 1, 2, 3
ON CONFLICT (kind, open_channel_id, dialog_id) DO UPDATE
SET due_at = excluded.due_at, generation = timers.generation + 1

-- name: stop_clocks
DELETE FROM timers WHERE dialog_id = ANY(%(dialog_ids)s) AND dialog_id <> 0 AND kind = ANY(%(kinds)s)

-- name: move_clocks
-- With its dialog to another open channel.
UPDATE timers SET open_channel_id = %(open_channel_id)s WHERE dialog_id = %(dialog_id)s AND dialog_id <> 0

-- name: due_clocks
-- In the order in which they came due; the chats are locked before anything else.
SELECT timers.kind, timers.open_channel_id, timers.dialog_id, timers.generation, dialogs.chat_id
FROM timers JOIN dialogs ON dialogs.id = timers.dialog_id
WHERE timers.dialog_id <> 0 AND timers.due_at <= now()
ORDER BY timers.due_at LIMIT %(limit)s

-- name: still_due
-- Those that nobody has stopped or set anew since they were read, locked. One that was stopped and then set anew begins
-- with the first generation again, so that alone does not tell: it is not due.
SELECT timers.kind, timers.dialog_id
FROM timers JOIN unnest(
    %(kinds)s::text[], %(open_channel_ids)s::bigint[], %(dialog_ids)s::bigint[], %(generations)s::bigint[]
) AS given (kind, open_channel_id, dialog_id, generation)
    ON timers.kind = given.kind AND timers.open_channel_id = given.open_channel_id
    AND timers.dialog_id = given.dialog_id AND timers.generation = given.generation
WHERE timers.due_at <= now()
ORDER BY timers.kind, timers.open_channel_id, timers.dialog_id FOR UPDATE OF timers

-- name: forget_clocks
DELETE FROM timers USING unnest(%(kinds)s::text[], %(dialog_ids)s::bigint[]) AS given (kind, dialog_id)
WHERE timers.dialog_id = given.dialog_id AND timers.dialog_id <> 0 AND timers.kind = given.kind

-- name: postpone_clocks
UPDATE timers SET due_at = now() + %(seconds)s * interval '1 second'
WHERE dialog_id = ANY(%(dialog_ids)s) AND dialog_id <> 0 AND due_at <= now()

-- Retention, by the clock: some thousand rows at a time, each in its own commit, along the primary keys. Where rows of a
-- partitioned table go, the bound of time leaves out all partitions that are younger.
-- Lock order: none. What others hold at the moment (SKIP LOCKED) is left to the next hour.

-- name: forget_items
-- Finished items of the inbox, from `after` on. Ids follow arrival: where a chunk has no old item, the old ones end.
-- Dead letters stay; so do items that wait, however old. Who discarded one by mistake has as long to take it back.
WITH walked AS (
    SELECT id, received_at < now() - %(days)s * interval '1 day' AS is_old
    FROM inbox WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
), old AS (
    SELECT state.inbox_id FROM walked JOIN inbox_state AS state ON state.inbox_id = walked.id
    WHERE is_old AND (
        state.stage IN ('done', 'ignored')
        OR state.stage = 'discarded' AND state.finished_at < now() - %(days)s * interval '1 day'
    )
    ORDER BY state.inbox_id FOR UPDATE OF state SKIP LOCKED
), states AS (
    DELETE FROM inbox_state USING old WHERE inbox_state.inbox_id = old.inbox_id
), gone_failures AS (
    DELETE FROM failures USING old WHERE failures.inbox_id = old.inbox_id
), gone_letters AS (
    DELETE FROM dead_letters USING old WHERE dead_letters.inbox_id = old.inbox_id
), slices AS (
    DELETE FROM inbox
    WHERE id = ANY(ARRAY(SELECT inbox_id FROM old)) AND received_at < now() - %(days)s * interval '1 day'
)
SELECT (SELECT max(id) FROM walked WHERE is_old), (SELECT count(*) FROM old), (SELECT count(*) FROM walked)

-- name: forget_dead_letters
WITH old AS (
    SELECT state.inbox_id FROM dead_letters JOIN inbox_state AS state USING (inbox_id)
    WHERE state.stage = 'dead' AND died_at < now() - %(days)s * interval '1 day'
    LIMIT %(limit)s FOR UPDATE OF state SKIP LOCKED
), states AS (
    DELETE FROM inbox_state USING old WHERE inbox_state.inbox_id = old.inbox_id
), gone_failures AS (
    DELETE FROM failures USING old WHERE failures.inbox_id = old.inbox_id
), gone_letters AS (
    DELETE FROM dead_letters USING old WHERE dead_letters.inbox_id = old.inbox_id
), slices AS (
    DELETE FROM inbox WHERE id = ANY(ARRAY(SELECT inbox_id FROM old))
)
SELECT count(*) FROM old

-- name: forget_settled_deliveries
-- Letters of deliveries that need nobody any more; the message and what became of it stay in the history.
WITH old AS (
    SELECT letters.id, letters.outbox_id
    FROM dead_letters AS letters JOIN outbox ON outbox.id = letters.outbox_id
    WHERE letters.died_at < now() - %(days)s * interval '1 day' AND (
        outbox.state NOT IN ('failed', 'pending', 'held')
        OR outbox.state = 'failed' AND letters.discarded_at < now() - %(days)s * interval '1 day'
    )
    LIMIT %(limit)s FOR UPDATE OF outbox SKIP LOCKED
), gone_failures AS (
    DELETE FROM failures USING old WHERE failures.outbox_id = old.outbox_id
), gone_letters AS (
    DELETE FROM dead_letters USING old WHERE dead_letters.id = old.id
)
SELECT count(*) FROM old

-- name: forget_dead_deliveries
-- The ledger counts inbox items alone.
WITH old AS (
    SELECT letters.id, letters.outbox_id
    FROM dead_letters AS letters JOIN outbox ON outbox.id = letters.outbox_id
    WHERE outbox.state = 'failed' AND letters.discarded_at IS NULL
        AND letters.died_at < now() - %(days)s * interval '1 day'
    LIMIT %(limit)s FOR UPDATE OF outbox SKIP LOCKED
), gone_failures AS (
    DELETE FROM failures USING old WHERE failures.outbox_id = old.outbox_id
), gone_letters AS (
    DELETE FROM dead_letters USING old WHERE dead_letters.id = old.id
)
SELECT count(*) FROM old

-- name: forget_messages
-- The beginnings of the histories of some chats. What waits to be sent stays.
WITH visited AS (
    SELECT id FROM chats WHERE id > %(after)s ORDER BY id LIMIT %(chats)s
), old AS (
    SELECT early.* FROM visited CROSS JOIN LATERAL (
        SELECT chat_id, seq FROM messages
        WHERE messages.chat_id = visited.id AND received_at < now() - %(days)s * interval '1 day' AND NOT EXISTS (
            SELECT FROM outbox
            WHERE outbox.chat_id = messages.chat_id AND outbox.seq = messages.seq
                AND outbox.state IN ('pending', 'held')
        )
        ORDER BY seq LIMIT %(each)s
    ) AS early
), sent AS (
    DELETE FROM outbox USING old WHERE outbox.chat_id = old.chat_id AND outbox.seq = old.seq
), gone AS (
    DELETE FROM messages USING old
    WHERE messages.chat_id = old.chat_id AND messages.seq = old.seq
        AND messages.received_at < now() - %(days)s * interval '1 day'
    RETURNING messages.chat_id
)
SELECT
    (SELECT max(id) FROM visited), (SELECT count(*) FROM gone),
    EXISTS (SELECT FROM gone) AND EXISTS (SELECT FROM old GROUP BY chat_id HAVING count(*) >= %(each)s)

-- name: forget_events
-- Of operators' presence, and of dialogs that were closed so long ago or are gone. What is of an open dialog stays, and
-- is walked past each hour. Written so that any plan of it goes along the keys.
WITH walked AS (
    SELECT id, dialog_id, at < now() - %(days)s * interval '1 day' AS is_old
    FROM events WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
), old AS (
    SELECT id FROM walked WHERE is_old AND coalesce((
        SELECT status = 'closed' AND closed_at < now() - %(days)s * interval '1 day'
        FROM dialogs WHERE dialogs.id = walked.dialog_id
    ), true)
), held AS (
    SELECT id FROM events WHERE id = ANY(ARRAY(SELECT id FROM old)) FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM events WHERE id = ANY(ARRAY(SELECT id FROM held))
)
SELECT (SELECT max(id) FROM walked WHERE is_old), (SELECT count(*) FROM held)

-- name: forget_decisions
-- As the events. Also the plans of the old decisions that stay.
WITH walked AS (
    SELECT id, dialog_id, plan_id, at < now() - %(days)s * interval '1 day' AS is_old
    FROM decisions WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
), judged AS MATERIALIZED (
    SELECT id, plan_id, coalesce((
        SELECT status = 'closed' AND closed_at < now() - %(days)s * interval '1 day'
        FROM dialogs WHERE dialogs.id = walked.dialog_id
    ), true) AS goes
    FROM walked WHERE is_old
), held AS (
    SELECT id FROM decisions WHERE id = ANY(ARRAY(SELECT id FROM judged WHERE goes)) FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM decisions WHERE id = ANY(ARRAY(SELECT id FROM held))
)
SELECT
    (SELECT max(id) FROM walked WHERE is_old), (SELECT count(*) FROM held),
    (SELECT coalesce(array_agg(DISTINCT plan_id) FILTER (WHERE plan_id IS NOT NULL), '{}')
     FROM judged WHERE id NOT IN (SELECT id FROM held))

-- name: old_plans
-- A day older than the decisions that were walked: a plan and its decisions are of one transaction, so all decisions of
-- these plans were looked at, although the clock goes on between the two walks.
WITH walked AS (
    SELECT id, at < now() - (%(days)s + 1) * interval '1 day' AS is_old
    FROM plans WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
)
SELECT max(id), coalesce(array_agg(id), '{}') FROM walked WHERE is_old

-- name: forget_plans
DELETE FROM plans WHERE id = ANY(%(ids)s)

-- name: forget_audit
DELETE FROM audit WHERE id IN (
    SELECT id FROM audit WHERE at < now() - %(days)s * interval '1 day' ORDER BY at LIMIT %(limit)s
)

-- Partitions of `inbox` and `messages`, by time of receipt.
-- Lock order: the turn, which makes one process at a time make or take off; the partitioned table; its default partition;
-- the others. Nothing else is locked with them.
-- {table}, {partition}: names, which no parameter can be.

-- name: take_turn
SELECT pg_try_advisory_xact_lock(hashtextextended('openchannel partitions', 0))

-- name: be_brief
-- To the end of the transaction: everybody waits behind who waits for a whole table.
SELECT set_config('lock_timeout', %(lock)s, true), set_config('statement_timeout', %(statement)s, true)

-- name: existing
-- All but the default one, the oldest first. No beginning: from the beginning of time. No end: for ever.
SELECT
    name, substring(bounds FROM 'FROM \(''([^'']+)''\)')::timestamptz AS begins,
    substring(bounds FROM 'TO \(''([^'']+)''\)')::timestamptz AS ends
FROM (
    SELECT part.relname::text AS name, pg_get_expr(part.relpartbound, part.oid) AS bounds
    FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
    WHERE inhparent = %(table)s::text::regclass
) AS parts
WHERE bounds <> 'DEFAULT'
ORDER BY ends

-- name: wanted
-- The periods after the present one, in UTC; in a session of any time zone. Not one that is about to begin: a row that is
-- on its way into the default partition while another one is attached for it would be refused.
SELECT to_char(begins, %(named)s), begins AT TIME ZONE 'UTC', (begins + period) AT TIME ZONE 'UTC'
FROM (SELECT now() AT TIME ZONE 'UTC' AS now, ('1 ' || %(unit)s::text)::interval AS period) AS present
CROSS JOIN generate_series(
    date_trunc(%(unit)s, present.now) + period, date_trunc(%(unit)s, present.now) + %(ahead)s * period, period
) AS begins
WHERE begins > present.now + interval '1 hour'

-- name: days_ago
SELECT now() - %(days)s * interval '1 day'

-- name: make
CREATE TABLE {partition} (LIKE {table} INCLUDING ALL)

-- name: attach
-- Whoever writes to other partitions goes on; who reads over all of them waits while the default one is read through for
-- rows that would belong here. A CHECK on it would spare that, and would refuse messages if the process that wrote it
-- died, and no clock ran until they came.
ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({begins}) TO ({ends})

-- name: count_left
SELECT count(*) FROM (SELECT FROM {partition} LIMIT %(limit)s) AS rest

-- name: lock_table
-- ONLY: every statement on the whole has this lock first; a vacuum of some partition is not waited for.
LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE

-- name: detach
ALTER TABLE {table} DETACH PARTITION {partition}

-- name: keep_items
-- What outlives its partition goes to the default one, because no other takes it any more.
INSERT INTO {table} SELECT * FROM {partition}

-- name: keep_messages
INSERT INTO {table}
SELECT old.*
FROM unnest(%(chat_ids)s::bigint[], %(seqs)s::bigint[]) AS kept (chat_id, seq)
CROSS JOIN LATERAL (
    SELECT * FROM {partition} AS part WHERE part.chat_id = kept.chat_id AND part.seq = kept.seq OFFSET 0
) AS old
WHERE EXISTS (SELECT FROM outbox WHERE outbox.chat_id = kept.chat_id AND outbox.seq = kept.seq)

-- name: drop
DROP TABLE {partition}

-- name: analyze_whole
-- Of the partitioned table itself, which no autovacuum looks at: they are samples of what was dropped, too. From
-- PostgreSQL 18 on.
ANALYZE ONLY {table}

-- name: analyze
-- Before, all partitions come along.
ANALYZE {table}

-- name: clear_deliveries
-- Of an old partition, along its key: deliveries that are over go. Returns where it stopped, how many messages it saw,
-- and those that have a delivery still: it waits to be sent, or somebody has it at the moment.
WITH walked AS (
    SELECT chat_id, seq FROM {partition}
    WHERE (chat_id, seq) > (%(chat_id)s::bigint, %(seq)s::bigint) ORDER BY chat_id, seq LIMIT %(limit)s
), theirs AS (
    SELECT outbox.id, outbox.chat_id, outbox.seq FROM walked JOIN outbox USING (chat_id, seq)
), over AS (
    SELECT id FROM outbox WHERE id = ANY(ARRAY(SELECT id FROM theirs)) AND state NOT IN ('pending', 'held')
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM outbox WHERE id = ANY(ARRAY(SELECT id FROM over))
), kept AS (
    SELECT chat_id, seq FROM theirs WHERE id <> ALL(ARRAY(SELECT id FROM over))
)
SELECT
    (SELECT count(*) FROM walked), (SELECT max(chat_id) FROM walked),
    (SELECT seq FROM walked ORDER BY chat_id DESC, seq DESC LIMIT 1),
    ARRAY(SELECT chat_id FROM kept ORDER BY chat_id, seq), ARRAY(SELECT seq FROM kept ORDER BY chat_id, seq)

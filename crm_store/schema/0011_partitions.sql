-- Inbox and history partitioned by time: what is old goes as a whole table, and what is new stays in small ones.
--
-- The tables of before become the first partitions, from the beginning of time to the next Monday and the next first of a
-- month (UTC); no row is copied. crm_store.partitions makes the following ones and takes old ones off. What belongs to none
-- of them, because no clock ran for weeks or because it outlives its partition, is in the default ones, `..._kept`.
--
-- A key of a partitioned table holds the column that it is partitioned by. So (chat_id, seq) is no longer unique by itself;
-- chats.last_seq is counted under the chat's lock, which says the same.

-- Who accepts holds this lock, shared, before its statements are read. So none of them has the sequence in hand that
-- goes, and none waits for the tables with something else locked.
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('openchannel accept', 0)); END $$;
LOCK TABLE inbox, messages IN ACCESS EXCLUSIVE MODE;

-- Web processes wrote the time of their own clocks: one that was ahead would be outside of the first partition.
UPDATE inbox SET received_at = now() WHERE received_at > now();
UPDATE messages SET received_at = now() WHERE received_at > now();

-- Inbox -----------------------------------------------------------------------------------------------------------------

-- Before PostgreSQL 17 partitioned tables have no identity columns. The ids go on, under the sequence's name.
CREATE SEQUENCE inbox_ids;
DO $$ BEGIN PERFORM setval('inbox_ids', last_value, is_called) FROM inbox_id_seq; END $$;
ALTER TABLE inbox RENAME TO inbox_first;
ALTER TABLE inbox_first ALTER COLUMN id DROP IDENTITY;
ALTER SEQUENCE inbox_ids RENAME TO inbox_id_seq;
ALTER TABLE inbox_first ALTER COLUMN id SET DEFAULT nextval('inbox_id_seq');
ALTER TABLE inbox_first DROP CONSTRAINT inbox_pkey;
ALTER TABLE inbox_first ADD CONSTRAINT inbox_first_pkey PRIMARY KEY (id, received_at);

CREATE TABLE inbox (LIKE inbox_first INCLUDING ALL) PARTITION BY RANGE (received_at);
ALTER SEQUENCE inbox_id_seq OWNED BY inbox.id;
CREATE TABLE inbox_kept PARTITION OF inbox DEFAULT;

-- History ---------------------------------------------------------------------------------------------------------------

ALTER TABLE messages RENAME TO messages_first;
ALTER TABLE messages_first DROP CONSTRAINT messages_pkey;
ALTER TABLE messages_first ADD CONSTRAINT messages_first_pkey PRIMARY KEY (chat_id, seq, received_at);
ALTER INDEX messages_by_external_id RENAME TO messages_first_by_external_id;

CREATE TABLE messages (LIKE messages_first INCLUDING ALL) PARTITION BY RANGE (received_at);
ALTER INDEX messages_chat_id_external_id_idx RENAME TO messages_by_external_id;
CREATE TABLE messages_kept PARTITION OF messages DEFAULT;

-- Both ------------------------------------------------------------------------------------------------------------------

-- Owner and rights, as an administrator may have given them.
DO $$
DECLARE
    made record;
    given record;
BEGIN
    FOR made IN
        SELECT former.relname AS former, former.relowner::regrole AS owner, former.relacl, name
        FROM (VALUES ('inbox_first', 'inbox'), ('messages_first', 'messages')) AS tables (former_name, name)
        JOIN pg_class AS former ON former.oid = former_name::regclass
    LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO %s', made.name, made.owner);
        EXECUTE format('ALTER TABLE %I OWNER TO %s', made.name || '_kept', made.owner);
        FOR given IN
            SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee,
                CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS further
            FROM aclexplode(made.relacl)
        LOOP
            EXECUTE format('GRANT %s ON %I TO %s%s', given.privilege_type, made.name, given.grantee, given.further);
            -- The ids: who could insert had them with the identity column.
            IF made.name = 'inbox' AND given.privilege_type = 'INSERT' THEN
                EXECUTE format('GRANT USAGE ON SEQUENCE inbox_id_seq TO %s', given.grantee);
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- The first partitions, and those of five weeks and four months to come. The clock goes on from there.
DO $$
DECLARE
    week timestamp := date_trunc('week', now() AT TIME ZONE 'UTC') + interval '1 week';
    month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month';
BEGIN
    EXECUTE format(
        'ALTER TABLE inbox ATTACH PARTITION inbox_first FOR VALUES FROM (MINVALUE) TO (%L)', week AT TIME ZONE 'UTC'
    );
    EXECUTE format(
        'ALTER TABLE messages ATTACH PARTITION messages_first FOR VALUES FROM (MINVALUE) TO (%L)',
        month AT TIME ZONE 'UTC'
    );
    FOR n IN 0..4 LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)', to_char(week, '"inbox_"YYYY_MM_DD'),
            week AT TIME ZONE 'UTC', (week + interval '1 week') AT TIME ZONE 'UTC'
        );
        week := week + interval '1 week';
    END LOOP;
    FOR n IN 0..3 LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF messages FOR VALUES FROM (%L) TO (%L)', to_char(month, '"messages_"YYYY_MM'),
            month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
        );
        month := month + interval '1 month';
    END LOOP;
END $$;

-- Distribution and the life of a dialog: roles, presence, seats, decisions by plan, one event log, idempotency keys.

-- Roles and presence -----------------------------------------------------------------------------------------------

ALTER TABLE operators
    -- What he may do to the dialogs of others, and whose he sees; null: the scope of his role.
    ADD COLUMN role text NOT NULL DEFAULT 'operator' CHECK (role IN ('operator', 'supervisor', 'administrator')),
    ADD COLUMN scope text CHECK (scope IN ('own', 'department', 'any')),
    ADD COLUMN away boolean NOT NULL DEFAULT false,         -- online, but to be given nothing
    ADD COLUMN time_tracking boolean NOT NULL DEFAULT false, -- his workday counts, not whether he is online (D6)
    ADD COLUMN workday text NOT NULL DEFAULT 'ended' CHECK (workday IN ('started', 'paused', 'ended')),
    -- What the log last said of him; the clock compares it with what is so by now.
    ADD COLUMN logged_availability text NOT NULL DEFAULT 'offline';

CREATE TABLE leaves (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operator_id bigint NOT NULL REFERENCES operators,
    from_at     timestamptz NOT NULL,
    until_at    timestamptz NOT NULL,
    CHECK (from_at < until_at)
);
CREATE INDEX leaves_of_operator ON leaves (operator_id, until_at);

-- Whose dialogs a supervisor sees and may act on: those of the members.
CREATE TABLE department_supervisors (
    department_id bigint NOT NULL REFERENCES departments,
    operator_id   bigint NOT NULL REFERENCES operators,
    PRIMARY KEY (department_id, operator_id)
);
CREATE INDEX department_supervisors_of_operator ON department_supervisors (operator_id);
CREATE INDEX department_members_of_operator ON department_members (operator_id);

-- Operators, and whether they may be given dialogs now, or why not (D6). A heartbeat older than 60 s is offline.
CREATE VIEW operators_now AS
SELECT operators.*, CASE
    WHEN dismissed_at IS NOT NULL THEN 'dismissed'
    WHEN EXISTS (
        SELECT FROM leaves WHERE leaves.operator_id = operators.id AND from_at <= now() AND until_at > now()
    ) THEN 'on_leave'
    WHEN time_tracking AND workday = 'ended' THEN 'workday_not_started'
    WHEN time_tracking AND workday = 'paused' THEN 'workday_paused'
    WHEN time_tracking THEN 'available'
    WHEN NOT online OR coalesce(seen_at <= now() - interval '60 seconds', true) THEN 'offline'
    WHEN away THEN 'away'
    ELSE 'available'
END AS availability
FROM operators;

-- Seats ------------------------------------------------------------------------------------------------------------

-- The rosters with departments expanded (D1), each operator once, at his first place; written whenever a roster or a
-- department changes. Read in the order of the policy, and only as far as a plan needs, so that a plan costs the same
-- with ten operators and with thousands.
-- turn: when he was last given a first assignment here, or joined, in turns of the open channel (D2, D13).
-- given: the same for every automatic assignment; hand-overs and returns go by it, and leave `turn` alone (D13).
CREATE TABLE seats (
    open_channel_id bigint NOT NULL REFERENCES open_channels,
    operator_id     bigint NOT NULL REFERENCES operators,
    position        integer NOT NULL,
    turn            bigint NOT NULL,
    given           bigint NOT NULL,
    -- On a large roster: could not be given anything when he was last looked at, and nothing has changed since.
    resting         boolean NOT NULL DEFAULT false,
    wakes           bigint NOT NULL DEFAULT 0,              -- how often something has
    PRIMARY KEY (operator_id, open_channel_id)
) WITH (fillfactor = 50);
CREATE INDEX seats_by_turn ON seats (open_channel_id, turn, position) WHERE NOT resting;
CREATE INDEX seats_by_given ON seats (open_channel_id, given, position) WHERE NOT resting;
CREATE INDEX seats_awake_by_position ON seats (open_channel_id, position) WHERE NOT resting;
CREATE INDEX seats_by_position ON seats (open_channel_id, position);

INSERT INTO seats (open_channel_id, operator_id, position, turn, given)
SELECT
    listed.open_channel_id, listed.operator_id,
    row_number() OVER (PARTITION BY listed.open_channel_id ORDER BY listed.position, listed.member_position),
    coalesce(roster_turns.turn, open_channels.turn), coalesce(roster_turns.turn, open_channels.turn)
FROM (
    SELECT DISTINCT ON (entry.open_channel_id, coalesce(entry.operator_id, member.operator_id))
        entry.open_channel_id, coalesce(entry.operator_id, member.operator_id) AS operator_id,
        entry.position, coalesce(member.position, 0) AS member_position
    FROM roster_entries AS entry LEFT JOIN department_members AS member ON member.department_id = entry.department_id
    WHERE coalesce(entry.operator_id, member.operator_id) IS NOT NULL
    ORDER BY entry.open_channel_id, coalesce(entry.operator_id, member.operator_id), entry.position, member.position
) AS listed
JOIN open_channels ON open_channels.id = listed.open_channel_id
LEFT JOIN roster_turns
    ON roster_turns.open_channel_id = listed.open_channel_id AND roster_turns.operator_id = listed.operator_id;

ALTER TABLE open_channels
    ADD COLUMN seats integer NOT NULL DEFAULT 0,                    -- how many there are
    ADD COLUMN woken_at timestamptz NOT NULL DEFAULT now();         -- when all of them were last looked at
UPDATE open_channels SET seats = (SELECT count(*) FROM seats WHERE seats.open_channel_id = open_channels.id);

DROP TABLE roster_turns;

-- Dialogs ----------------------------------------------------------------------------------------------------------

ALTER TABLE dialogs
    ADD COLUMN pinned boolean NOT NULL DEFAULT false,
    ADD COLUMN spam boolean NOT NULL DEFAULT false,
    ADD COLUMN unanswered_at timestamptz,                   -- marked as unanswered (S2)
    ADD COLUMN awaits_customer boolean NOT NULL DEFAULT false,  -- we have spoken last (S3)
    ADD COLUMN first_assigned_at timestamptz,               -- what comes later is no first assignment (D13)
    ADD COLUMN transferred boolean NOT NULL DEFAULT false,  -- and nobody has accepted it since (D10)
    ADD COLUMN kept boolean NOT NULL DEFAULT false,         -- its clock ran out, and nobody else could have it (D5)
    ADD COLUMN preferred_id bigint REFERENCES operators,    -- the card's responsible person (D9)
    ADD COLUMN over_limit boolean NOT NULL DEFAULT false;   -- its holder took it, or was given it, above a limit (D7)
UPDATE dialogs SET first_assigned_at = assigned_at, awaits_customer = (status = 'awaiting_customer');
CREATE INDEX dialogs_waiting_for ON dialogs (open_channel_id, preferred_id, id)
    WHERE status = 'queued' AND preferred_id IS NOT NULL;
CREATE INDEX dialogs_preferring ON dialogs (preferred_id) WHERE status = 'queued' AND preferred_id IS NOT NULL;

-- Whoever is to accept a dialog has the time that is set from now on (D5).
INSERT INTO timers (kind, open_channel_id, dialog_id, due_at)
SELECT
    'handover', open_channel_id, dialogs.id,
    now() + coalesce((open_channels.settings ->> 'handover_after')::float8, 60) * interval '1 second'
FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id WHERE dialogs.status = 'assigned';

CREATE INDEX timers_of_dialog ON timers (dialog_id) WHERE dialog_id <> 0;

-- What the decisions of one plan have in common: who was looked at and could not be given anything, by reason (D12).
CREATE TABLE plans (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    open_channel_id bigint NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    ineligible      jsonb NOT NULL
);

ALTER TABLE decisions
    ADD COLUMN plan_id bigint,
    ADD COLUMN cause text NOT NULL DEFAULT 'waiting',       -- what asked for the decision
    ADD COLUMN unnamed jsonb NOT NULL DEFAULT '{}',         -- how many more were passed over, by reason
    ADD COLUMN over_limit boolean NOT NULL DEFAULT false;   -- it passes a limit, as takes and transfers may (D7)

-- The event log ----------------------------------------------------------------------------------------------------

-- Everything that happens to dialogs and to the presence of operators (then dialog_id is null).
-- Ids have gaps and are committed out of order. Who follows the log reads in the order of (xid, id), and only as far as
-- all transactions have ended: xid < pg_snapshot_xmin(pg_current_snapshot()).
ALTER TABLE dialog_events RENAME TO events;
ALTER INDEX dialog_events_of_dialog RENAME TO events_of_dialog;
ALTER TABLE events
    ALTER COLUMN dialog_id DROP NOT NULL,
    ALTER COLUMN became DROP NOT NULL,
    ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ADD COLUMN open_channel_id bigint,
    ADD COLUMN was_operator_id bigint,                      -- who had the dialog before
    ADD COLUMN operator_id bigint,                          -- who has it now; whose presence it is
    ADD COLUMN details jsonb;                               -- ids, times and reasons; never a customer's words
CREATE INDEX events_in_order ON events (xid, id);

-- Idempotency keys -------------------------------------------------------------------------------------------------

-- An act that was done under a key is not done again. fingerprint: of what was asked for. result: ids alone.
CREATE TABLE idempotency_keys (
    actor       text NOT NULL,
    key         text NOT NULL,
    act         text NOT NULL,
    fingerprint bytea NOT NULL,
    result      jsonb NOT NULL DEFAULT '{}',
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (at);

-- Replays of dead letters: who asked for what, how far it is, and what became of each letter.

-- A body that could not be cut into its events is kept whole: read again, it is cut, and may be several messages.
ALTER TABLE dead_letters ADD COLUMN whole_body boolean NOT NULL DEFAULT false;

-- Who holds a replay's row drives it: its letters are sent, and what became of them is noted, under that lock alone.
CREATE TABLE replays (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor        text NOT NULL,
    asked_at     timestamptz NOT NULL DEFAULT now(),
    selection    jsonb NOT NULL,                        -- as asked; a text that was searched for is masked
    rate         float8 CHECK (rate > 0),               -- letters per second; null: as fast as they go through
    canary       integer CHECK (canary > 0),            -- so many go first, alone
    max_failures float8 NOT NULL CHECK (max_failures BETWEEN 0 AND 1),
    state        text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'stopped', 'braked', 'done')),
    reason       text NOT NULL DEFAULT '',              -- why it is stopped or braked
    changed_by   text NOT NULL DEFAULT '',              -- who stopped or resumed it last
    changed_at   timestamptz NOT NULL DEFAULT now(),    -- since when it is in its state
    run          integer NOT NULL DEFAULT 1,            -- each resume begins another one, with a canary of its own
    next_at      timestamptz NOT NULL DEFAULT now(),    -- when the next letter may go, under a rate
    total        integer NOT NULL CHECK (total > 0),
    under_way    integer NOT NULL DEFAULT 0,
    done         integer NOT NULL DEFAULT 0,
    failed       integer NOT NULL DEFAULT 0,
    skipped      integer NOT NULL DEFAULT 0
);
CREATE INDEX replays_at_work ON replays (id) WHERE state = 'running' OR under_way > 0;

-- Its letters, as chosen when it was asked for. No foreign key to them: the history outlives what is erased, and names
-- numbers alone.
CREATE TABLE replay_items (
    replay_id bigint NOT NULL,
    position  integer NOT NULL,                         -- in the order in which the messages came
    letter_id bigint NOT NULL,
    state     text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'done', 'failed', 'skipped')),
    run       integer,                                  -- in which it was sent
    deaths    integer,                                  -- of the letter before it was sent: one more is a failure
    sent_at   timestamptz,
    ended_at  timestamptz,
    outcome   text NOT NULL DEFAULT '',                 -- how it ended: a stage, a stable reason
    PRIMARY KEY (replay_id, position)
) WITH (fillfactor = 70);
CREATE INDEX replay_items_waiting ON replay_items (replay_id, position) WHERE state = 'waiting';
CREATE INDEX replay_items_under_way ON replay_items (replay_id, position) WHERE state = 'sent';
CREATE INDEX replay_items_of_run ON replay_items (replay_id, run, position) WHERE run IS NOT NULL;
CREATE INDEX replay_items_judged ON replay_items (replay_id, run, ended_at) WHERE state IN ('done', 'failed');

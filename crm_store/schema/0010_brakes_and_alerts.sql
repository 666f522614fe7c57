-- Brakes of steps, alerts, and how many deaths there have been.

-- Each time that a step was paused because nearly everything of it failed. One that has not ended is on.
CREATE TABLE step_brakes (
    step        stage NOT NULL,
    number      integer NOT NULL,                       -- counts the step's brakes
    since       timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    pauses      integer NOT NULL,                       -- in a row, those of a brake shortly before it included
    resumes_at  timestamptz NOT NULL,                   -- when some items are tried; or tried again, if nothing is heard
    reason      text NOT NULL,                          -- of the failure that engaged it
    fingerprint text NOT NULL,
    worker      text NOT NULL,
    PRIMARY KEY (step, number)
);
CREATE UNIQUE INDEX step_brakes_on ON step_brakes (step) WHERE ended_at IS NULL;

-- What persons are to be told. Written in the transaction that finds it, sent by a clock.
CREATE TABLE alerts (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id     uuid NOT NULL DEFAULT gen_random_uuid(), -- `webhook-id`: the same at each try
    at             timestamptz NOT NULL DEFAULT now(),
    kind           text NOT NULL,
    subject        text NOT NULL,                       -- one line for people, without a word of a customer
    details        jsonb NOT NULL,
    state          text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed', 'logged')),
    attempts       integer NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL DEFAULT now(),
    first_tried_at timestamptz,                         -- from then on it is tried for an hour, however late that is
    ended_at       timestamptz,
    error          text NOT NULL DEFAULT ''
);
CREATE INDEX alerts_waiting ON alerts (due_at) WHERE state = 'waiting';
CREATE INDEX alerts_by_time ON alerts (at);

-- Causes of dead letters that were seen lately: another one is new.
CREATE TABLE dead_letter_groups (
    step         text NOT NULL,
    reason       text NOT NULL,
    fingerprint  text NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (step, reason, fingerprint)
);
INSERT INTO dead_letter_groups (step, reason, fingerprint, last_seen_at)
SELECT step, reason, fingerprint, max(died_at) FROM dead_letters GROUP BY step, reason, fingerprint;

-- Up to when dead letters were looked at, and when their rate was last told. One row; who locks it looks.
CREATE TABLE alert_watch (
    one             boolean PRIMARY KEY DEFAULT true CHECK (one),
    looked_at       timestamptz NOT NULL DEFAULT now(),
    rate_alerted_at timestamptz
);
INSERT INTO alert_watch DEFAULT VALUES;

-- How often something has died; it goes on counting when letters are deleted. Append-only, folded, as the ledger is.
CREATE TABLE deaths (
    step   text NOT NULL,
    reason text NOT NULL,
    n      bigint NOT NULL
);
INSERT INTO deaths (step, reason, n) SELECT step, reason, sum(deaths) FROM dead_letters GROUP BY step, reason;

-- By triggers, because letters are written by many statements, and a death that one of them forgot would never be seen.
CREATE FUNCTION count_first_deaths() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deaths (step, reason, n) SELECT step, reason, sum(deaths) FROM became GROUP BY step, reason;
    RETURN NULL;
END $$;
CREATE FUNCTION count_further_deaths() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deaths (step, reason, n)
    SELECT became.step, became.reason, sum(became.deaths - was.deaths)
    FROM became JOIN was USING (id) WHERE became.deaths > was.deaths
    GROUP BY became.step, became.reason;
    RETURN NULL;
END $$;
CREATE TRIGGER dead_letters_first AFTER INSERT ON dead_letters
    REFERENCING NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION count_first_deaths();
CREATE TRIGGER dead_letters_further AFTER UPDATE ON dead_letters
    REFERENCING OLD TABLE AS was NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION count_further_deaths();

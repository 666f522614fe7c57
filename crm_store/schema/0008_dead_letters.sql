-- Dead letters: deliveries too, every attempt of each, how often they died, and what persons did with them.

-- A failed attempt is an inbox item's or a delivery's. step: a stage, or `parse` or `accept` before the first one, or
-- `deliver`.
ALTER TABLE failures
    ALTER COLUMN step TYPE text,
    ALTER COLUMN inbox_id DROP NOT NULL,
    ADD COLUMN outbox_id bigint REFERENCES outbox ON DELETE CASCADE,
    ADD CONSTRAINT failures_of_one CHECK (num_nonnulls(inbox_id, outbox_id) = 1);
CREATE INDEX failures_of_delivery ON failures (outbox_id) WHERE outbox_id IS NOT NULL;

ALTER TABLE dead_letters
    ALTER COLUMN inbox_id DROP NOT NULL,
    ADD COLUMN outbox_id bigint UNIQUE REFERENCES outbox ON DELETE CASCADE,
    ADD COLUMN channel_id bigint,                       -- that it came in by, or was to go out by
    ADD COLUMN deaths integer NOT NULL DEFAULT 1,       -- a replay that fails makes another one
    ADD COLUMN first_died_at timestamptz,
    ADD COLUMN discarded_at timestamptz,                -- of a delivery; an item's stage says it
    ADD CONSTRAINT dead_letters_of_one CHECK (num_nonnulls(inbox_id, outbox_id) = 1);
UPDATE dead_letters SET
    channel_id = coalesce((SELECT channel_id FROM inbox WHERE inbox.id = dead_letters.inbox_id), 0),
    first_died_at = died_at;
ALTER TABLE dead_letters
    ALTER COLUMN channel_id SET NOT NULL,
    ALTER COLUMN channel_id SET DEFAULT 0,
    ALTER COLUMN first_died_at SET NOT NULL,
    ALTER COLUMN first_died_at SET DEFAULT now();
-- What failed before is no news: it died when its last try had to be over.
INSERT INTO dead_letters
    (outbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback, died_at, first_died_at)
SELECT
    id, channel_id, 'deliver', 'failed', 'failed', attempts, error, '', least(due_at, now()), least(due_at, now())
FROM outbox WHERE state = 'failed';

-- A process of the version before, which still runs while the others are replaced, knows nothing of channels.
CREATE FUNCTION channel_of_letter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.channel_id := coalesce((SELECT channel_id FROM inbox WHERE id = NEW.inbox_id), 0);
    RETURN NEW;
END $$;
CREATE TRIGGER dead_letters_channel BEFORE INSERT ON dead_letters
    FOR EACH ROW WHEN (NEW.channel_id = 0) EXECUTE FUNCTION channel_of_letter();

CREATE INDEX dead_letters_by_time ON dead_letters (died_at);

-- Where each letter stands. What carries it says so: the item's stage, or the delivery's state.
CREATE VIEW dead_letters_now AS
SELECT
    letters.*,
    coalesce(item.chat_id, delivery.chat_id) AS chat_id,
    CASE
        WHEN letters.inbox_id IS NOT NULL THEN CASE
            WHEN item.stage = 'dead' THEN 'dead'
            WHEN item.stage = 'discarded' THEN 'discarded'
            WHEN item.stage >= 'done' THEN 'done'
            ELSE 'replaying'
        END
        WHEN letters.discarded_at IS NOT NULL OR delivery.state = 'expired' THEN 'discarded'
        WHEN delivery.state = 'failed' THEN 'dead'
        WHEN delivery.state IN ('pending', 'held') THEN 'replaying'
        ELSE 'done'
    END AS state
FROM dead_letters AS letters
LEFT JOIN inbox_state AS item ON item.inbox_id = letters.inbox_id
LEFT JOIN outbox AS delivery ON delivery.id = letters.outbox_id;

-- What persons did with a letter. details: of an edit each field with what it was and what it became; a customer's
-- words, so it goes with the letter.
CREATE TABLE dead_letter_acts (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter_id bigint NOT NULL REFERENCES dead_letters ON DELETE CASCADE,
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text NOT NULL,
    act       text NOT NULL CHECK (act IN ('edit', 'replay', 'discard', 'restore')),
    reason    text NOT NULL DEFAULT '',
    details   jsonb
);
CREATE INDEX dead_letter_acts_of_letter ON dead_letter_acts (letter_id);

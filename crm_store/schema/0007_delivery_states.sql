-- Delivery states of the channels' receipts (S5), and when an operator's presence last changed.

-- The channel says that it has arrived, or was read; only ever forward, see tracker.deliveries.
ALTER TABLE outbox
    DROP CONSTRAINT outbox_state_check,
    ADD CONSTRAINT outbox_state_check
        CHECK (state IN ('pending', 'held', 'sent', 'failed', 'expired', 'delivered', 'read'));

-- Receipts that were accepted and have not been applied to the outbox yet. No unique and no foreign key: the commit
-- that accepts messages writes them, and must wait for nobody. Applying one twice changes nothing.
CREATE TABLE receipts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id  bigint NOT NULL,
    message_key uuid NOT NULL,                          -- outbox.idempotency_key, by which the channel knows it
    state       text NOT NULL CHECK (state IN ('sent', 'failed', 'delivered', 'read'))
);

-- Since when somebody is available, or not.
CREATE INDEX events_of_presence ON events (operator_id, id) WHERE dialog_id IS NULL;

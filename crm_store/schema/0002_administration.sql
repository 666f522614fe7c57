-- Administration: which clocks run, and channels that change places.

-- A clock signs here every few seconds, for `openchannel doctor`.
CREATE TABLE clocks (
    name    text PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- Two channels of a kind may change places between two open channels in one transaction.
ALTER TABLE channels DROP CONSTRAINT channels_open_channel_id_kind_key;
ALTER TABLE channels ADD CONSTRAINT channels_one_of_a_kind
    UNIQUE (open_channel_id, kind) DEFERRABLE INITIALLY IMMEDIATE;

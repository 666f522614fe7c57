-- What somebody would write down in an afternoon who wants: every message once, one card per customer, a dialog per
-- chat, an operator in turn.

CREATE TABLE desk (
    id integer PRIMARY KEY
);

CREATE TABLE operators (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text NOT NULL,
    online           boolean NOT NULL DEFAULT true,
    last_assigned_at timestamptz
);

CREATE TABLE cards (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type        text NOT NULL DEFAULT 'provisional',
    name        text NOT NULL DEFAULT '',
    source      text NOT NULL DEFAULT '',
    merged_into bigint REFERENCES cards,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE identifiers (
    kind    text NOT NULL,
    key     text NOT NULL,
    value   text NOT NULL,
    card_id bigint NOT NULL REFERENCES cards,
    PRIMARY KEY (kind, key)
);
CREATE INDEX identifiers_of_card ON identifiers (card_id);

CREATE TABLE chats (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel     text NOT NULL,
    external_id text NOT NULL,
    card_id     bigint REFERENCES cards,
    UNIQUE (channel, external_id)
);
CREATE INDEX chats_of_card ON chats (card_id);

CREATE TABLE inbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel     text NOT NULL,
    external_id text NOT NULL,
    chat_id     bigint,                                 -- the loop's web process fills it in
    message     jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    done_at     timestamptz,
    UNIQUE (channel, external_id)
);
CREATE INDEX inbox_pending ON inbox (id) WHERE done_at IS NULL;
CREATE INDEX inbox_pending_of_chat ON inbox (chat_id, id) WHERE done_at IS NULL;

CREATE TABLE history (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id bigint NOT NULL UNIQUE,
    chat_id    bigint NOT NULL,
    text       text NOT NULL,
    sent_at    timestamptz NOT NULL
);
CREATE INDEX history_of_chat ON history (chat_id);

CREATE TABLE dialogs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chat_id     bigint NOT NULL REFERENCES chats,
    card_id     bigint NOT NULL REFERENCES cards,
    status      text NOT NULL DEFAULT 'open',
    operator_id bigint REFERENCES operators,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX dialogs_open_of_chat ON dialogs (chat_id) WHERE status <> 'closed';

CREATE TABLE outbox (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dialog_id bigint NOT NULL UNIQUE REFERENCES dialogs,
    text      text NOT NULL
);

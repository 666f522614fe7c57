-- The chat tracker whole: facts per chat, merges that can be undone, the review list, shared and blocked identifiers,
-- and who did what.

-- Cards ----------------------------------------------------------------------------------------------------------

ALTER TABLE cards
    ADD COLUMN made_by       text NOT NULL DEFAULT 'tracker',  -- or who made it by hand: `operator:ID`, `service`, ...
    ADD COLUMN edited_at     timestamptz,                      -- by a person: then T7 asks before it merges
    ADD COLUMN name_inbox_id bigint;                           -- the message that gave the name; null: a person did

-- What stands on a card, and who gave it: one row per chat (0: a person entered it). A chat's rows stand on the card
-- that the chat is bound to.
ALTER TABLE card_identifiers
    ADD COLUMN chat_id bigint NOT NULL DEFAULT 0,
    ADD COLUMN given_by text NOT NULL DEFAULT 'customer',      -- or the person: `operator:ID`, `service`, `cli:NAME`
    ADD COLUMN rule text NOT NULL DEFAULT '';                  -- by which it came to stand here: T4, T6, ...
UPDATE card_identifiers SET chat_id = state.chat_id
FROM inbox_state AS state WHERE state.inbox_id = card_identifiers.inbox_id AND state.chat_id IS NOT NULL;
ALTER TABLE card_identifiers DROP CONSTRAINT card_identifiers_pkey;
ALTER TABLE card_identifiers ADD PRIMARY KEY (card_id, kind, key, chat_id);

-- The link that bound a chat. Undone merges fall back on it: the chat is bound to the card that owned the identifier.
ALTER TABLE chats
    ADD COLUMN bound_kind     text,
    ADD COLUMN bound_key      text,
    ADD COLUMN bound_evidence evidence,
    ADD COLUMN bound_inbox_id bigint;

-- Shared and blocked identifiers (T9) ------------------------------------------------------------------------------

-- shared: too many contradict each other, it matches nobody; trusted: a person says that it matches all the same.
ALTER TABLE identifiers
    ADD COLUMN standing text NOT NULL DEFAULT 'usual' CHECK (standing IN ('usual', 'shared', 'trusted'));

-- The claims that are counted: of one channel kind, all of different messenger ids and of different names.
CREATE TABLE claims (
    kind         text NOT NULL,
    key          text NOT NULL,
    channel_kind text NOT NULL,
    name         text NOT NULL,                         -- as it is compared
    customer_id  text NOT NULL,
    chat_id      bigint NOT NULL,
    inbox_id     bigint NOT NULL,
    PRIMARY KEY (kind, key, channel_kind, name)
);
CREATE INDEX claims_of_chat ON claims (chat_id);

-- What never matches: phones by key; e-mails as a whole address, `@domain` or `name@`.
CREATE TABLE blocked_values (
    kind   text NOT NULL CHECK (kind IN ('phone', 'email')),
    value  text NOT NULL,
    reason text NOT NULL,
    actor  text NOT NULL,
    at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, value)
);

-- Merges (T7) --------------------------------------------------------------------------------------------------------

-- A merge joins the card whose chat gave an identifier and the card that it stood on. All merges that are not undone
-- are a forest over the cards; `cards.live_id` is its shape at a glance, and changes only under the locks of the live
-- cards that it joins or parts.
CREATE TABLE merges (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    card_id     bigint NOT NULL REFERENCES cards,
    other_id    bigint NOT NULL REFERENCES cards,
    loser_id    bigint NOT NULL,                        -- the live cards of that moment; they may be erased since
    survivor_id bigint NOT NULL,
    rule        text NOT NULL,                          -- T7, C2, or `person`
    kind        text,
    key         text,
    evidence    evidence,                               -- of the link: the weaker of its sides
    chat_id     bigint,
    inbox_id    bigint,
    actor       text NOT NULL DEFAULT 'tracker',
    reason      text NOT NULL DEFAULT '',
    merged_at   timestamptz NOT NULL DEFAULT now(),
    undone_at   timestamptz,
    undone_by   text,
    undo_reason text
);
CREATE INDEX merges_of_card ON merges (card_id);
CREATE INDEX merges_of_other ON merges (other_id);

-- Pairs that a person keeps apart for ever: a rejected review, an undone merge, a chat taken off a card.
CREATE TABLE kept_apart (
    card_id  bigint NOT NULL REFERENCES cards,
    other_id bigint NOT NULL REFERENCES cards,
    actor    text NOT NULL,
    reason   text NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (card_id, other_id),
    CHECK (card_id < other_id)
);
CREATE INDEX kept_apart_of_other ON kept_apart (other_id);

-- Wrong numbers (T5): an identifier that a person took off a card, and that does not come back to it.
CREATE TABLE detached (
    card_id bigint NOT NULL REFERENCES cards,
    kind    text NOT NULL,
    key     text NOT NULL,
    actor   text NOT NULL,
    reason  text NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (card_id, kind, key)
);

-- Locks the live cards of these cards, in the order of their ids. False if one of them lives no more when its lock is
-- had: who waited for the next one with that in hand could wait in a circle, so the caller gives all back.
CREATE FUNCTION lock_live_cards(wanted bigint[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    live bigint;
    locked bigint[] := '{}';
BEGIN
    FOR live IN SELECT DISTINCT coalesce(live_id, id) FROM cards WHERE id = ANY(wanted) ORDER BY 1 LOOP
        PERFORM FROM cards WHERE id = live FOR NO KEY UPDATE;
        IF (SELECT live_id IS NOT NULL FROM cards WHERE id = live) THEN
            RETURN false;
        END IF;
        locked := locked || live;
    END LOOP;
    RETURN NOT EXISTS (SELECT FROM cards WHERE id = ANY(wanted) AND coalesce(live_id, id) <> ALL(locked));
END
$$;

-- The review list ------------------------------------------------------------------------------------------------------

-- A pair of cards that may be one customer's, or (card_id null) an identifier that seems to be many people's.
CREATE TABLE reviews (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cause      text NOT NULL CHECK (cause IN ('suggested', 'edited', 'contradiction', 'shared')),
    card_id    bigint REFERENCES cards,                 -- the one whose chat gave the identifier
    other_id   bigint REFERENCES cards,
    kind       text NOT NULL,
    key        text NOT NULL,
    evidence   evidence,
    chat_id    bigint,
    inbox_id   bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'rejected')),
    decided_at timestamptz,
    decided_by text,
    note       text NOT NULL DEFAULT '',
    CHECK ((card_id IS NULL) = (cause = 'shared'))
);
CREATE UNIQUE INDEX reviews_one_open_per_pair ON reviews (least(card_id, other_id), greatest(card_id, other_id))
    WHERE state = 'open' AND card_id IS NOT NULL;
CREATE UNIQUE INDEX reviews_one_open_per_identifier ON reviews (kind, key) WHERE state = 'open' AND card_id IS NULL;
CREATE INDEX reviews_open ON reviews (id) WHERE state = 'open';
CREATE INDEX reviews_of_card ON reviews (card_id);
CREATE INDEX reviews_of_other ON reviews (other_id);
CREATE INDEX reviews_of_identifier ON reviews (kind, key);

-- Who did what -----------------------------------------------------------------------------------------------------------

-- Every act of a person on customers' cards. Names no identifier's value: it outlives an erase.
CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL,
    act     text NOT NULL,
    outcome text NOT NULL,                              -- `done`, or the reason of the refusal
    details jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_by_time ON audit (at);

-- What an entry is about: `card_id 12`, `merge_id 3`, ...
CREATE FUNCTION named_in(details jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE
RETURN ARRAY(SELECT key || ' ' || value FROM jsonb_each_text(details) WHERE right(key, 3) = '_id');
CREATE INDEX audit_by_what_it_names ON audit USING gin (named_in(details));

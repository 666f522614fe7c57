-- Look-ups: they read, lock nothing and change nothing.
-- A card that is provisional is no card yet (C2, C3): it is shown nowhere but to whom the tracker asks, and who asks the
-- tracker why. A merged one shows as its survivor (T7).

-- name: snapshot
-- First in a transaction of several look-ups, so that they see one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: now
SELECT now()

-- name: names
SELECT id, name FROM operators WHERE id = ANY(%(operator_ids)s)

-- Cards ----------------------------------------------------------------------------------------------------------

-- name: cards
SELECT
    cards.id, cards.type::text,
    coalesce(
        nullif(cards.name, ''),
        (SELECT name FROM cards AS merged WHERE merged.live_id = cards.id AND name <> '' ORDER BY id LIMIT 1), ''
    ),
    sources.id, sources.name, operators.id, operators.name,
    cards.responsible_by, coalesce(contacts.live_id, contacts.id), open_channels.id, open_channels.name,
    cards.created_at, cards.closed_at
FROM cards
LEFT JOIN sources ON sources.id = cards.source_id
LEFT JOIN operators ON operators.id = cards.responsible_id
LEFT JOIN cards AS contacts ON contacts.id = cards.contact_id
LEFT JOIN open_channels ON open_channels.id = cards.open_channel_id
WHERE (cards.type <> 'provisional' OR %(provisional)s) AND cards.live_id IS NULL
    AND (%(card_ids)s::bigint[] IS NULL OR cards.id = ANY(%(card_ids)s::bigint[]))
    AND (%(contact_ids)s::bigint[] IS NULL OR cards.contact_id = ANY(%(contact_ids)s::bigint[]))
    AND (%(type)s::card_type IS NULL OR cards.type = %(type)s::card_type)
    AND (%(before)s::bigint IS NULL OR cards.id < %(before)s::bigint)
ORDER BY cards.id DESC
LIMIT %(limit)s

-- name: cards_with_identifier
-- On which it stands, or that remember it (T5).
SELECT DISTINCT coalesce(cards.live_id, cards.id)
FROM (
    SELECT card_id FROM card_identifiers
    JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)
    UNION ALL
    SELECT remembered_card_id FROM identifiers
    JOIN unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key) USING (kind, key)
) AS owner
JOIN cards ON cards.id = owner.card_id

-- name: find_card
SELECT live.id, live.type::text, live.chat_id, coalesce(contacts.live_id, contacts.id)
FROM cards
JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id)
LEFT JOIN cards AS contacts ON contacts.id = live.contact_id
WHERE cards.id = %(card_id)s

-- name: family
-- A card and those that were merged into it.
SELECT id FROM cards WHERE id = %(card_id)s OR live_id = %(card_id)s

-- name: identifiers_held
-- Which of these stand on one of the cards, or are remembered for it (T5).
SELECT kind, key
FROM unnest(%(kinds)s::text[], %(keys)s::text[]) AS given (kind, key)
WHERE EXISTS (
    SELECT FROM card_identifiers AS present
    WHERE present.card_id = ANY(%(card_ids)s) AND present.kind = given.kind AND present.key = given.key
) OR EXISTS (
    SELECT FROM identifiers
    WHERE identifiers.kind = given.kind AND identifiers.key = given.key AND remembered_card_id = ANY(%(card_ids)s)
)

-- name: identifiers_of
SELECT kind, value, written, evidence, given_at
FROM (
    SELECT DISTINCT ON (kind, key) kind, value, written, evidence::text, given_at
    FROM card_identifiers WHERE card_id = ANY(%(card_ids)s)
    ORDER BY kind, key, card_identifiers.evidence, given_at
) AS strongest
ORDER BY given_at, kind, value

-- name: remembered_of
-- As they were first written anywhere; the key if they stand nowhere any more (T5).
SELECT coalesce(
    (SELECT value FROM card_identifiers AS present
     WHERE present.kind = identifiers.kind AND present.key = identifiers.key ORDER BY given_at LIMIT 1), key
)
FROM identifiers WHERE remembered_card_id = ANY(%(card_ids)s) ORDER BY 1

-- name: chats_of
-- Of a card, or of one deal of it: those that belong to the deal, did so, or made it.
SELECT
    chats.id, channels.key, channels.kind, chats.external_id, chats.name, chats.deal_id,
    chats.bound_by, chats.bound_at, chats.created_at
FROM chats JOIN channels ON channels.id = chats.channel_id
WHERE chats.card_id = ANY(%(card_ids)s) AND (
    %(deal_id)s::bigint IS NULL OR chats.deal_id = %(deal_id)s::bigint OR chats.id = %(made_from)s::bigint
    OR chats.id IN (
        SELECT chat_id FROM dialogs WHERE card_id = ANY(%(card_ids)s) AND deal_id = %(deal_id)s::bigint
    )
)
ORDER BY chats.id

-- Chats and history ----------------------------------------------------------------------------------------------

-- name: chat
SELECT
    chats.id, channels.key, channels.kind, open_channels.id, open_channels.name,
    chats.external_id, chats.customer_id, chats.name, live.id, deals.id, chats.bound_by, chats.bound_at,
    chats.created_at, dialogs.id, dialogs.status::text, operators.id, operators.name
FROM chats
JOIN channels ON channels.id = chats.channel_id
JOIN open_channels ON open_channels.id = channels.open_channel_id
LEFT JOIN cards ON cards.id = chats.card_id
LEFT JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id) AND live.type <> 'provisional'
LEFT JOIN cards AS deals ON deals.id = chats.deal_id
LEFT JOIN dialogs ON dialogs.chat_id = chats.id AND dialogs.status <> 'closed'
LEFT JOIN operators ON operators.id = dialogs.operator_id
WHERE chats.id = %(chat_id)s

-- name: chat_history_oldest
SELECT chat_id, seq, received_at FROM messages
WHERE chat_id = %(chat_id)s AND seq > coalesce(%(after)s::bigint, -1)
ORDER BY seq LIMIT %(limit)s

-- name: chat_history_newest
SELECT chat_id, seq, received_at FROM messages
WHERE chat_id = %(chat_id)s AND seq < coalesce(%(after)s::bigint, 9223372036854775807)
ORDER BY seq DESC LIMIT %(limit)s

-- name: card_history_oldest
SELECT chat_id, seq, received_at FROM messages
WHERE chat_id = ANY(%(chat_ids)s) AND (received_at, chat_id, seq) > (
    coalesce(%(at)s::timestamptz, '-infinity'), %(chat_id)s::bigint, %(seq)s::bigint
)
ORDER BY received_at, chat_id, seq LIMIT %(limit)s

-- name: card_history_newest
SELECT chat_id, seq, received_at FROM messages
WHERE chat_id = ANY(%(chat_ids)s) AND (received_at, chat_id, seq) < (
    coalesce(%(at)s::timestamptz, 'infinity'), %(chat_id)s::bigint, %(seq)s::bigint
)
ORDER BY received_at DESC, chat_id DESC, seq DESC LIMIT %(limit)s

-- name: messages
-- In the order in which they are named, with what became of ours. LATERAL: one by one, so that only the partition is
-- looked into in which each was received.
SELECT
    messages.chat_id, messages.seq, direction, messages.kind, text, attachments, external_id, reply_to, referral,
    messages.inbox_id, messages.dialog_id, operators.id, operators.name, messages.sent_at, messages.received_at,
    edited_at, deleted_at, reactions, outbox.state, outbox.attempts, outbox.sent_at, outbox.error
FROM unnest(%(chat_ids)s::bigint[], %(seqs)s::bigint[], %(received_ats)s::timestamptz[]) WITH ORDINALITY
    AS named (chat_id, seq, received_at, position)
CROSS JOIN LATERAL (
    SELECT * FROM messages AS stored
    WHERE stored.chat_id = named.chat_id AND stored.seq = named.seq AND stored.received_at = named.received_at OFFSET 0
) AS messages
LEFT JOIN operators ON operators.id = messages.operator_id
LEFT JOIN outbox ON outbox.chat_id = messages.chat_id AND outbox.seq = messages.seq
ORDER BY named.position

-- Dialogs --------------------------------------------------------------------------------------------------------

-- name: dialogs
-- Of all, or of those that somebody sees: access.sql says the same of one.
SELECT
    dialogs.id, dialogs.status::text, open_channels.id, open_channels.name, dialogs.chat_id, channels.key,
    channels.kind, coalesce(nullif(live.name, ''), chats.name),
    CASE WHEN live.type <> 'provisional' THEN live.id END, dialogs.deal_id, operators.id, operators.name,
    dialogs.created_at, dialogs.assigned_at, dialogs.accepted_at, dialogs.answered_at, dialogs.noticed_at,
    dialogs.closed_at, dialogs.pinned, dialogs.spam, dialogs.unanswered_at, dialogs.over_limit,
    preferred.id, preferred.name
FROM (
    SELECT * FROM dialogs
    WHERE (%(dialog_id)s::bigint IS NULL OR id = %(dialog_id)s::bigint)
        AND (%(statuses)s::dialog_status[] IS NULL OR status = ANY(%(statuses)s::dialog_status[]))
        AND (%(operator_id)s::bigint IS NULL OR operator_id = %(operator_id)s::bigint)
        AND (%(open_channel_ids)s::bigint[] IS NULL OR open_channel_id = ANY(%(open_channel_ids)s::bigint[]))
        AND (%(before)s::bigint IS NULL OR id < %(before)s::bigint)
        AND (
            %(seer)s::bigint IS NULL OR operator_id = ANY(%(seen_holders)s::bigint[])
            OR (status IN ('queued', 'offered') AND open_channel_id = ANY(%(seen_open_channels)s::bigint[]))
            OR chat_id IN (
                SELECT chat_id FROM dialogs WHERE operator_id = %(seer)s::bigint
                UNION ALL
                SELECT held.chat_id FROM events JOIN dialogs AS held ON held.id = events.dialog_id
                WHERE events.operator_id = %(seer)s::bigint
            )
        )
    ORDER BY CASE WHEN %(oldest)s THEN id END, id DESC LIMIT %(limit)s
) AS dialogs
JOIN open_channels ON open_channels.id = dialogs.open_channel_id
JOIN chats ON chats.id = dialogs.chat_id
JOIN channels ON channels.id = chats.channel_id
LEFT JOIN cards ON cards.id = dialogs.card_id
LEFT JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id)
LEFT JOIN operators ON operators.id = dialogs.operator_id
LEFT JOIN operators AS preferred ON preferred.id = dialogs.preferred_id
ORDER BY CASE WHEN %(oldest)s THEN dialogs.id END, dialogs.id DESC

-- name: events_of
-- The newest first.
SELECT
    at, actor, cause, was::text, became::text, former.id, former.name, holder.id, holder.name, events.details
FROM events
LEFT JOIN operators AS former ON former.id = events.was_operator_id
LEFT JOIN operators AS holder ON holder.id = events.operator_id
WHERE events.dialog_id = %(dialog_id)s
ORDER BY events.id DESC LIMIT %(limit)s

-- name: decisions_of
-- The newest first.
-- ineligible: of the plan, which holds for all of its decisions.
SELECT
    decisions.at, rule, cause, operator_id, over_limit, candidates, coalesce(plans.ineligible, '{}'), unnamed
FROM decisions LEFT JOIN plans ON plans.id = decisions.plan_id
WHERE dialog_id = %(dialog_id)s
ORDER BY decisions.id DESC LIMIT %(limit)s

-- name: clocks_of
SELECT kind, due_at FROM timers WHERE dialog_id = %(dialog_id)s AND dialog_id <> 0 ORDER BY due_at, kind

-- Backlogs -------------------------------------------------------------------------------------------------------

-- name: backlog_of
-- The open channel, what waits in it, and when it is tried next (D8).
SELECT
    open_channels.id, open_channels.name, active, settings::text, now(), waiting.queued, waiting.offered,
    (SELECT due_at FROM timers WHERE kind = 'backlog' AND open_channel_id = open_channels.id AND dialog_id = 0)
FROM open_channels
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'queued') AS queued, count(*) FILTER (WHERE status = 'offered') AS offered
    FROM dialogs WHERE open_channel_id = open_channels.id AND status IN ('queued', 'offered')
) AS waiting
WHERE open_channels.id = %(open_channel_id)s

-- name: waiting
-- In the order of age, which is that of the ids. A dialog that came back waits since then.
SELECT
    dialogs.id, dialogs.status::text, coalesce(nullif(live.name, ''), chats.name), dialogs.chat_id, channels.key,
    dialogs.created_at, coalesce(back.at, dialogs.created_at), preferred.id, preferred.name, dialogs.passed_by,
    dialogs.noticed_at
FROM (
    SELECT * FROM dialogs
    WHERE open_channel_id = %(open_channel_id)s AND status IN ('queued', 'offered')
        AND (%(dialog_id)s::bigint IS NULL OR id = %(dialog_id)s::bigint)
    ORDER BY id LIMIT %(limit)s
) AS dialogs
JOIN chats ON chats.id = dialogs.chat_id
JOIN channels ON channels.id = chats.channel_id
LEFT JOIN cards ON cards.id = dialogs.card_id
LEFT JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id)
LEFT JOIN operators AS preferred ON preferred.id = dialogs.preferred_id
LEFT JOIN LATERAL (
    SELECT max(at) AS at FROM events
    WHERE events.dialog_id = dialogs.id AND events.became = 'queued'
        AND events.was IS DISTINCT FROM 'queued' AND events.was IS DISTINCT FROM 'offered'
) AS back ON true
ORDER BY dialogs.id

-- name: place_in_backlog
SELECT count(*) FROM dialogs
WHERE open_channel_id = %(open_channel_id)s AND status IN ('queued', 'offered') AND id <= %(dialog_id)s

-- name: standings
-- Everybody on the roster in its order, then those who are named besides, with what counts against their limits (D7).
-- Since when his presence is what it is: the log's last word, unless it has changed by mere silence since.
SELECT
    operators.id, operators.name, seats.position, operators.availability, last.at, operators.seen_at,
    load.here, (open_channels.settings ->> 'max_dialogs')::integer, load.over_all, operators.personal_limit,
    coalesce((open_channels.settings ->> 'check_availability')::boolean, true)
FROM operators_now AS operators
JOIN open_channels ON open_channels.id = %(open_channel_id)s
LEFT JOIN seats ON seats.operator_id = operators.id AND seats.open_channel_id = %(open_channel_id)s
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE dialogs.open_channel_id = %(open_channel_id)s) AS here, count(*) AS over_all
    FROM dialogs JOIN open_channels AS its ON its.id = dialogs.open_channel_id
    WHERE dialogs.operator_id = operators.id AND dialogs.status <> 'closed'
        AND counts_against_limit(dialogs.status, dialogs.answered_at, coalesce(its.settings ->> 'counted', 'all'))
) AS load
LEFT JOIN LATERAL (
    SELECT at FROM events WHERE dialog_id IS NULL AND operator_id = operators.id ORDER BY id DESC LIMIT 1
) AS last ON operators.availability = operators.logged_availability
WHERE seats.position IS NOT NULL OR operators.id = ANY(%(besides)s)
ORDER BY seats.position, operators.id

-- Desks ----------------------------------------------------------------------------------------------------------

-- name: operators
SELECT
    id, name, role, scope, availability,
    online AND coalesce(seen_at > now() - %(heartbeat_limit)s * interval '1 second', false),
    away, time_tracking, workday, seen_at, dismissed_at, personal_limit
FROM operators_now
WHERE %(operator_id)s::bigint IS NULL OR id = %(operator_id)s::bigint
ORDER BY id

-- name: loads
-- What each operator holds, and what of it counts against his limits (D7).
SELECT
    dialogs.operator_id, open_channels.id, open_channels.name, count(*),
    count(*) FILTER (WHERE counts_against_limit(
        dialogs.status, dialogs.answered_at, coalesce(open_channels.settings ->> 'counted', 'all')
    )),
    (open_channels.settings ->> 'max_dialogs')::integer
FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
WHERE dialogs.operator_id IS NOT NULL AND dialogs.status <> 'closed'
    AND (%(operator_id)s::bigint IS NULL OR dialogs.operator_id = %(operator_id)s::bigint)
GROUP BY dialogs.operator_id, open_channels.id
ORDER BY dialogs.operator_id, open_channels.id

-- name: open_channels
SELECT id, name, active, settings::text FROM open_channels ORDER BY id

-- name: roster_places
SELECT
    seats.open_channel_id, operators_now.id, name,
    online AND coalesce(seen_at > now() - %(heartbeat_limit)s * interval '1 second', false), availability
FROM seats JOIN operators_now ON operators_now.id = seats.operator_id
ORDER BY seats.open_channel_id, seats.position

-- name: channels
SELECT open_channel_id, id, key, kind, name, active FROM channels ORDER BY id

-- name: backlogs
SELECT
    open_channel_id, count(*) FILTER (WHERE status = 'queued'), count(*) FILTER (WHERE status = 'offered'),
    min(created_at)
FROM dialogs WHERE status IN ('queued', 'offered') GROUP BY open_channel_id

-- name: open_dialogs
SELECT open_channel_id, status::text, count(*) FROM dialogs WHERE status <> 'closed' GROUP BY open_channel_id, status

-- Inbox ----------------------------------------------------------------------------------------------------------

-- name: inbox_item
SELECT
    state.inbox_id, state.stage::text, state.reason, channels.key, channels.kind,
    inbox.message ->> 'kind', inbox.message ->> 'external_id', state.chat_id, state.chat_seq, inbox.received_at,
    state.due_at, state.attempts, state.crashes, live.id, state.dialog_id, state.found -> 'candidates',
    state.accepted_at, state.looked_up_at, state.bound_at, state.carded_at, state.distributed_at, state.finished_at
FROM inbox_state AS state
LEFT JOIN inbox ON inbox.id = state.inbox_id
LEFT JOIN channels ON channels.id = inbox.channel_id
LEFT JOIN cards ON cards.id = state.card_id
LEFT JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id) AND live.type <> 'provisional'
WHERE state.inbox_id = %(inbox_id)s

-- name: failures_of
SELECT step::text, attempt, failed_at, worker, reason, error FROM failures WHERE inbox_id = %(inbox_id)s ORDER BY id

-- name: dead_letter_of
SELECT step, reason, fingerprint, attempts, error, traceback, died_at
FROM dead_letters WHERE inbox_id = %(inbox_id)s

-- Figures --------------------------------------------------------------------------------------------------------

-- name: dialog_counts
SELECT status::text, count(*) FROM dialogs GROUP BY status

-- name: card_counts
SELECT type::text, count(*) FROM cards WHERE type <> 'provisional' AND live_id IS NULL GROUP BY type

-- name: has_migrations
SELECT to_regclass('_yoyo_migration') IS NOT NULL

-- name: applied_migrations
SELECT migration_id FROM _yoyo_migration

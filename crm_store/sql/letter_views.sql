-- Look-ups of dead letters. `meant` of dead_letters.sql goes before those that take a selection. Locks nothing.

-- name: page
-- The latest deaths first.
SELECT
    meant.id, meant.state, meant.step, meant.reason, meant.cause, meant.fingerprint, channels.key, channels.kind,
    meant.deaths, meant.attempts, meant.first_died_at, meant.died_at, meant.inbox_id, meant.outbox_id, meant.chat_id,
    meant.error
FROM meant LEFT JOIN channels ON channels.id = meant.channel_id
WHERE %(before_at)s::timestamptz IS NULL
    OR (meant.died_at, meant.id) < (%(before_at)s::timestamptz, %(before_id)s::bigint)
ORDER BY meant.died_at DESC, meant.id DESC LIMIT %(limit)s

-- name: groups
-- By cause, the largest first. Counted by channel and state before anything is sorted: letters are many, causes few.
SELECT
    left(encode(sha256(convert_to(concat_ws('/', step, reason, fingerprint), 'UTF8')), 'hex'), 10),
    step, reason, fingerprint, letters, dead, replaying, done, discarded,
    (SELECT array_agg(key ORDER BY key) FROM channels WHERE channels.id = ANY(channel_ids)),
    first_at, last_at, latest_id
FROM (
    SELECT
        step, reason, fingerprint, sum(n)::bigint AS letters,
        coalesce(sum(n) FILTER (WHERE state = 'dead'), 0)::bigint AS dead,
        coalesce(sum(n) FILTER (WHERE state = 'replaying'), 0)::bigint AS replaying,
        coalesce(sum(n) FILTER (WHERE state = 'done'), 0)::bigint AS done,
        coalesce(sum(n) FILTER (WHERE state = 'discarded'), 0)::bigint AS discarded,
        array_agg(channel_id) AS channel_ids,
        min(first_at) AS first_at, max(last_at) AS last_at, max(latest_id) AS latest_id
    FROM (
        SELECT
            step, reason, fingerprint, channel_id, state, count(*) AS n,
            min(first_died_at) AS first_at, max(died_at) AS last_at, max(id) AS latest_id
        FROM meant GROUP BY step, reason, fingerprint, channel_id, state
    ) AS counted
    GROUP BY step, reason, fingerprint
    ORDER BY sum(n) DESC, max(last_at) DESC, fingerprint LIMIT %(limit)s
) AS grouped
ORDER BY letters DESC, last_at DESC, fingerprint

-- name: stats
-- One row per state, step, reason and channel, and one for everything: `what` says which.
SELECT
    CASE
        WHEN grouping(state) = 0 THEN 'state' WHEN grouping(step) = 0 THEN 'step'
        WHEN grouping(reason) = 0 THEN 'reason' WHEN grouping(channel_id) = 0 THEN 'channel' ELSE 'all'
    END,
    coalesce(state, step, reason, (SELECT key FROM channels WHERE id = meant.channel_id), channel_id::text, ''),
    count(*), count(*) FILTER (WHERE state = 'dead'),
    count(*) FILTER (WHERE died_at > now() - interval '1 hour'),
    count(*) FILTER (WHERE died_at > now() - interval '1 day'),
    min(died_at) FILTER (WHERE state = 'dead'), max(died_at)
FROM meant
GROUP BY GROUPING SETS ((state), (step), (reason), (channel_id), ())
ORDER BY 1, 3 DESC, 2

-- name: letters
-- Everything that is kept of these letters.
SELECT
    letters.id, letters.state, letters.step, letters.reason,
    left(encode(sha256(convert_to(concat_ws('/', letters.step, letters.reason, letters.fingerprint), 'UTF8')), 'hex'), 10),
    letters.fingerprint, channels.key, channels.kind, letters.deaths, letters.attempts, letters.first_died_at,
    letters.died_at, letters.inbox_id, letters.outbox_id, letters.chat_id, letters.error,
    letters.traceback, state.stage::text, inbox.received_at, state.chat_seq, live.id, state.dialog_id,
    inbox.message::text, inbox.headers::text, inbox.raw,
    outbox.state, outbox.idempotency_key::text, outbox.seq, outbox.dialog_id, messages.text, messages.sent_at,
    messages.operator_id
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS given (id, position)
JOIN dead_letters_now AS letters ON letters.id = given.id
LEFT JOIN channels ON channels.id = letters.channel_id
LEFT JOIN inbox_state AS state ON state.inbox_id = letters.inbox_id
LEFT JOIN inbox ON inbox.id = letters.inbox_id
LEFT JOIN cards ON cards.id = state.card_id
LEFT JOIN cards AS live ON live.id = coalesce(cards.live_id, cards.id) AND live.type <> 'provisional'
LEFT JOIN outbox ON outbox.id = letters.outbox_id
LEFT JOIN messages ON messages.chat_id = outbox.chat_id AND messages.seq = outbox.seq
ORDER BY given.position

-- name: failures
SELECT letters.id, failures.step, attempt, failed_at, worker, failures.reason, failures.error, failures.traceback
FROM dead_letters AS letters JOIN failures ON failures.inbox_id = letters.inbox_id
WHERE letters.id = ANY(%(ids)s)
UNION ALL
SELECT letters.id, failures.step, attempt, failed_at, worker, failures.reason, failures.error, failures.traceback
FROM dead_letters AS letters JOIN failures ON failures.outbox_id = letters.outbox_id
WHERE letters.id = ANY(%(ids)s)
ORDER BY 1, failed_at, attempt

-- name: acts
SELECT letter_id, at, actor, act, reason, details
FROM dead_letter_acts WHERE letter_id = ANY(%(ids)s) ORDER BY letter_id, id

-- What was recorded of a period, for simulations. Read only, in one snapshot; nothing is locked.
-- Times are seconds since the beginning of the period.

-- name: one_snapshot
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: extent
SELECT min(created_at), max(created_at), now() FROM dialogs

-- name: arrived
-- Walked through by a cursor: one pass over the dialogs, sorted once.
SELECT id FROM dialogs WHERE created_at >= %(since)s AND created_at < %(until)s ORDER BY created_at, id

-- name: open_at
SELECT id FROM dialogs WHERE created_at < %(since)s AND (closed_at IS NULL OR closed_at >= %(since)s) ORDER BY id

-- name: dialogs
-- Responsible is whom the dialog preferred; where that was not asked for, who is responsible for its card now, if he had
-- accepted a dialog of the card before (D9, C4).
SELECT
    dialogs.id, dialogs.open_channel_id, chats.channel_id, dialogs.operator_id,
    extract(epoch FROM dialogs.created_at - %(since)s)::float8,
    extract(epoch FROM dialogs.assigned_at - %(since)s)::float8,
    extract(epoch FROM dialogs.accepted_at - %(since)s)::float8,
    extract(epoch FROM dialogs.closed_at - %(since)s)::float8,
    coalesce(dialogs.preferred_id, (
        SELECT cards.responsible_id FROM cards
        WHERE cards.id = dialogs.card_id AND cards.responsible_by = 'acceptor' AND EXISTS (
            SELECT FROM dialogs AS earlier
            WHERE earlier.card_id = dialogs.card_id AND earlier.operator_id = cards.responsible_id
                AND earlier.accepted_at < dialogs.created_at
        )
    ))
FROM dialogs JOIN chats ON chats.id = dialogs.chat_id
WHERE dialogs.id = ANY(%(dialog_ids)s)

-- name: changes
-- Who had the dialogs and what became of them, and when their customers wrote again.
SELECT
    dialog_id,
    (array_agg(open_channel_id ORDER BY id))[1],
    array_agg(extract(epoch FROM at - %(since)s)::float8 ORDER BY id),
    array_agg(cause ORDER BY id),
    array_agg(was::text ORDER BY id),
    array_agg(became::text ORDER BY id),
    array_agg(was_operator_id ORDER BY id),
    array_agg(operator_id ORDER BY id)
FROM events
WHERE dialog_id = ANY(%(dialog_ids)s) AND became IS NOT NULL
    AND (was IS DISTINCT FROM became OR was_operator_id IS DISTINCT FROM operator_id OR cause = 'message')
GROUP BY dialog_id

-- name: assignments
-- By a policy, or by accepting an offer; who keeps a dialog (D5) had it already.
SELECT
    dialog_id,
    array_agg(extract(epoch FROM at - %(since)s)::float8 ORDER BY id),
    array_agg(operator_id ORDER BY id)
FROM decisions
WHERE dialog_id = ANY(%(dialog_ids)s) AND operator_id IS NOT NULL AND rule IN ('D2', 'D3', 'D4', 'D9')
GROUP BY dialog_id

-- name: turns
-- In what order the operators were given dialogs before the period; a month back tells it.
SELECT
    dialogs.open_channel_id, decisions.operator_id,
    coalesce(max(decisions.id) FILTER (WHERE decisions.rule <> 'D9' AND decisions.at = dialogs.first_assigned_at), 0),
    max(decisions.id)
FROM decisions JOIN dialogs ON dialogs.id = decisions.dialog_id
WHERE decisions.at < %(since)s AND decisions.at >= %(since)s::timestamptz - interval '31 days'
    AND decisions.operator_id IS NOT NULL AND decisions.rule IN ('D2', 'D3', 'D9')
GROUP BY dialogs.open_channel_id, decisions.operator_id

-- name: presence
-- The last that was known before the period, and all within it.
(
    SELECT DISTINCT ON (operator_id)
        operator_id, extract(epoch FROM at - %(since)s)::float8 AS seconds, details ->> 'availability', id
    FROM events
    WHERE dialog_id IS NULL AND cause = 'presence' AND operator_id IS NOT NULL AND at < %(since)s
    ORDER BY operator_id, at DESC, id DESC
) UNION ALL (
    SELECT operator_id, extract(epoch FROM at - %(since)s)::float8, details ->> 'availability', id
    FROM events
    WHERE dialog_id IS NULL AND cause = 'presence' AND operator_id IS NOT NULL AND at >= %(since)s AND at < %(until)s
)
ORDER BY operator_id, seconds, id

-- name: reactions
-- Median seconds from the assignment to the acceptance, by operator and, with null, over all. Of an offer, whose
-- assignment is its acceptance, from its beginning.
SELECT operator_id, percentile_cont(0.5) WITHIN GROUP (
    ORDER BY extract(epoch FROM accepted_at - CASE WHEN assigned_at < accepted_at THEN assigned_at ELSE created_at END)
)
FROM dialogs
WHERE created_at >= %(since)s AND created_at < %(until)s AND accepted_at IS NOT NULL
GROUP BY GROUPING SETS ((operator_id), ())

-- name: handling
-- Median seconds from the acceptance to the close.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM closed_at - accepted_at)) FROM dialogs
WHERE created_at >= %(since)s AND created_at < %(until)s AND accepted_at IS NOT NULL AND closed_at >= accepted_at

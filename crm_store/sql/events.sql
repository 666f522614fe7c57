-- The event log. Append-only.

-- name: insert
INSERT INTO events (
    dialog_id, open_channel_id, actor, cause, was, became, was_operator_id, operator_id, details
)
SELECT * FROM unnest(
    %(dialog_ids)s::bigint[], %(open_channel_ids)s::bigint[], %(actors)s::text[], %(causes)s::text[],
    %(was)s::dialog_status[], %(became)s::dialog_status[], %(was_operator_ids)s::bigint[], %(operator_ids)s::bigint[],
    %(details)s::jsonb[]
)

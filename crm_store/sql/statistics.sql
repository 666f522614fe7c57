-- The planner's statistics, which hold samples of what the tables held: phones, names and texts too.

-- name: analyze_inbox
-- New samples take the place of the old ones. Locks out vacuum only.
ANALYZE inbox, inbox_state, failures, dead_letters, dead_letter_acts

-- name: analyze_messages
ANALYZE messages, outbox

-- name: analyze_cards
ANALYZE
    cards, card_identifiers, identifiers, chats, claims, merges, kept_apart, detached, reviews, dialogs, events,
    decisions, audit

-- name: clear_of_empty
-- ANALYZE leaves those of an empty table as they are. From PostgreSQL 18 on.
SELECT pg_clear_attribute_stats(schemaname::text, tablename::text, attname::text, inherited)
FROM pg_stats
WHERE schemaname = current_schema() AND (tablename IN (
    'inbox', 'inbox_state', 'failures', 'dead_letters', 'dead_letter_acts', 'messages', 'outbox', 'cards', 'card_identifiers',
    'identifiers', 'chats', 'claims', 'merges', 'kept_apart', 'detached', 'reviews', 'dialogs', 'events',
    'decisions', 'audit'
) OR format('%I.%I', schemaname, tablename)::regclass IN (
    SELECT inhrelid FROM pg_inherits WHERE inhparent IN ('inbox'::regclass, 'messages'::regclass)
)) AND (
    SELECT reltuples FROM pg_class WHERE oid = format('%I.%I', schemaname, tablename)::regclass
) = 0

-- As 0013, and apart from it: whoever has an outbox row and moves an item would be waited for while he waits.

DROP INDEX outbox_pending;
CREATE INDEX outbox_pending ON outbox (due_at) WHERE state = 'pending' AND due_at > '-infinity';

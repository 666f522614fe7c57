-- What is pending in a chat is found by its chat alone. Where nothing was pending when statistics were taken, the index by
-- time seems as cheap, and everything that is pending would be read for each chat of a claim. No time is infinite: the
-- predicate only keeps queries that say nothing of time from it.

-- At once, as in 0012.
LOCK TABLE inbox_state IN ACCESS EXCLUSIVE MODE;

DROP INDEX inbox_state_pending;
CREATE INDEX inbox_state_pending ON inbox_state (stage, due_at) WHERE stage < 'done' AND due_at > '-infinity';

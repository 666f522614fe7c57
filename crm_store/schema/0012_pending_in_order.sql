-- What is pending in a chat, in the chat's order: a claim reads the first of it, however much there is behind.

-- At once: a worker that has claimed, and is about to move on, would wait for the first lock and be waited for by the second.
LOCK TABLE inbox_state IN ACCESS EXCLUSIVE MODE;

CREATE INDEX inbox_state_pending_in_order ON inbox_state (chat_id, chat_seq, inbox_id) WHERE stage < 'done';
DROP INDEX inbox_state_pending_of_chat;

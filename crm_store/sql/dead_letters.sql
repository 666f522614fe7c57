-- Dead letters, as persons see and handle them.
-- Lock order: chats, then inbox_state or outbox, then dead_letters by id.

-- name: selected
-- Letters that are meant, in the order in which their messages came: what was received before what was to be sent.
SELECT letters.id
FROM dead_letters_now AS letters
LEFT JOIN inbox ON inbox.id = letters.inbox_id
LEFT JOIN outbox ON outbox.id = letters.outbox_id
LEFT JOIN messages ON messages.chat_id = outbox.chat_id AND messages.seq = outbox.seq
WHERE (%(ids)s::bigint[] IS NULL OR letters.id = ANY(%(ids)s::bigint[]))
    AND (%(state)s::text IS NULL OR letters.state = %(state)s::text)
    AND (%(step)s::text IS NULL OR letters.step = %(step)s::text)
    AND (%(reason)s::text IS NULL OR letters.reason = %(reason)s::text)
    AND (%(fingerprint)s::text IS NULL OR letters.fingerprint = %(fingerprint)s::text)
    AND (
        %(group)s::text IS NULL
        OR left(md5(concat_ws('/', letters.step, letters.reason, letters.fingerprint)), 10) = %(group)s::text
    )
    AND (%(channel_id)s::bigint IS NULL OR letters.channel_id = %(channel_id)s::bigint)
    AND (%(since)s::timestamptz IS NULL OR letters.died_at >= %(since)s::timestamptz)
    AND (%(until)s::timestamptz IS NULL OR letters.died_at < %(until)s::timestamptz)
    AND (
        %(text)s::text IS NULL OR letters.error ILIKE %(text)s::text OR inbox.message::text ILIKE %(text)s::text
        OR messages.text ILIKE %(text)s::text
        OR inbox.message IS NULL AND encode(inbox.raw, 'escape') ILIKE %(escaped)s::text
    )
ORDER BY letters.inbox_id NULLS LAST, letters.outbox_id
LIMIT %(limit)s

-- name: channel_id
SELECT id FROM channels WHERE key = %(key)s

-- name: note_acts
INSERT INTO dead_letter_acts (letter_id, actor, act, reason, details)
SELECT letter_id, %(actor)s, %(act)s, %(reason)s, %(details)s::jsonb
FROM unnest(%(letter_ids)s::bigint[]) AS given (letter_id)

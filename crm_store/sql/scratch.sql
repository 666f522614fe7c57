-- What is asked of a scratch database, in which nobody else works: no locks.

-- name: cards_of_chats
SELECT channels.key, chats.external_id, coalesce(cards.live_id, cards.id)
FROM chats
JOIN channels ON channels.id = chats.channel_id
JOIN cards ON cards.id = chats.card_id

-- name: left_behind
SELECT count(*), (SELECT reason || ', ' || error FROM failures ORDER BY id DESC LIMIT 1)
FROM inbox_state WHERE stage IN (%(step)s, 'dead')

-- name: refresh_statistics
ANALYZE

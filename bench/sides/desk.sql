-- Which chats are the stream's, and the desk of an earlier round in the same database put away.
-- A database may hold other chats: those that it was filled with, and those written to besides the stream.

CREATE OR REPLACE VIEW bench_chats AS
SELECT chats.id, channels.key AS channel_key, chats.card_id
FROM chats
JOIN channels ON channels.id = chats.channel_id
JOIN open_channels ON open_channels.id = channels.open_channel_id
WHERE open_channels.name = 'Bench desk' AND chats.external_id NOT LIKE 'c-hot-%';

-- The earlier round's customers are forgotten: the next one's are others, and some of them have the same phones.
DELETE FROM identifiers USING card_identifiers AS fact
WHERE fact.kind = identifiers.kind AND fact.key = identifiers.key AND fact.chat_id IN (SELECT id FROM bench_chats);
DELETE FROM card_identifiers WHERE chat_id IN (SELECT id FROM bench_chats);
DELETE FROM claims WHERE chat_id IN (SELECT id FROM bench_chats);

UPDATE channels SET key = channels.key || '-' || channels.id, active = false
FROM open_channels WHERE open_channels.id = channels.open_channel_id AND open_channels.name = 'Bench desk';
UPDATE operators SET name = name || ' ' || id, token_hash = NULL, dismissed_at = now() WHERE name LIKE '% (bench)';
UPDATE open_channels SET name = name || ' ' || id, active = false WHERE name = 'Bench desk';

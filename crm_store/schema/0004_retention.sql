-- Erasing customers, and retention.
--
-- A card that is deleted is looked for wherever one may point at it. Where no index helped, each deletion would read
-- a whole table. All of them are partial or of small tables: what every message writes is not indexed further.
-- Retention goes along the primary keys, whose order is that of arrival, and needs no index by time.

CREATE INDEX chats_of_deal ON chats (deal_id) WHERE deal_id IS NOT NULL;
CREATE INDEX dialogs_of_deal ON dialogs (deal_id) WHERE deal_id IS NOT NULL;
CREATE INDEX merges_of_loser ON merges (loser_id);
CREATE INDEX merges_of_survivor ON merges (survivor_id);

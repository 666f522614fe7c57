-- Who did what. Locks nothing.

-- name: enter
INSERT INTO audit (actor, act, outcome, details) VALUES (%(actor)s, %(act)s, %(outcome)s, %(details)s::jsonb)

"""What always holds of the tracker's tables, whatever was done and whoever was killed: see `chaos.checks.cards`."""

from chaos.checks.cards import broken
from crm_store import matching, parting
from crm_store.database import Connection
from tracker.separation import separate

__all__ = ["broken", "contradictions"]

_ACTS_OF_PERSONS = """
SELECT FROM merges
WHERE (rule = 'person' OR undone_by = 'person') AND (card_id = ANY(%(ids)s) OR other_id = ANY(%(ids)s))
UNION ALL
SELECT FROM kept_apart WHERE card_id = ANY(%(ids)s) OR other_id = ANY(%(ids)s)
"""


def contradictions(connection: Connection) -> list[int]:
    """T8: live cards of customers whose contradicting proofs only typed links join, though no person's act joined or
    parted them: what he leaves waits for their next proof. See "When a proof comes late" in docs/tracker.md.
    """
    live = [row[0] for row in connection.execute("SELECT id FROM cards WHERE live_id IS NULL ORDER BY id").fetchall()]
    odd = []
    for card_id in live:
        known = matching.lock_customers(connection, [card_id])
        ids = [card.id for card in known]
        if connection.execute(_ACTS_OF_PERSONS, {"ids": ids}).fetchone() is not None:
            continue
        bound, merges = parting.chats_of(connection, ids), parting.active_merges(connection, ids)
        if separate(ids, bound, parting.facts_of(known), merges, 0) is not None:
            odd.append(card_id)
    return odd

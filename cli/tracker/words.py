"""How the tracker's commands word what they show."""

from datetime import datetime

from cli.tracker.opening import shown
from crm_store.views.cards import CardSummary
from crm_store.views.tracking import ReviewView
from tracker.identifiers import Evidence

_EVIDENCE = {
    Evidence.PROVEN: "proven by the channel",
    Evidence.SIGNED: "signed by the company's site",
    Evidence.TYPED: "only typed",
}


def at(moment: datetime | None) -> str:
    """A time, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "at an unknown time"


def evidence(given: Evidence | None) -> str:
    """Who says so (T3)."""
    return _EVIDENCE[given] if given else "as a person says"


def quoted(text: object) -> str:
    """What somebody wrote."""
    return f"\u201c{shown(text)}\u201d"


def headline(entry: ReviewView) -> str:
    """What a review asks, and how it was answered."""
    given = f"the {entry.identifier.kind} {shown(entry.identifier.value)} ({evidence(entry.identifier.evidence)})"
    if entry.card_id is None:
        asked = f"is {given} many people's?"
    elif entry.card and entry.other and entry.card.id != entry.other.id:
        asked = f"are {_card(entry.card)} and {_card(entry.other)} one customer? Both have {given}"
    else:
        asked = f"were card {entry.card_id} and card {entry.other_id} one customer's? Both had {given}"
    said = f"review {entry.id}, {at(entry.created_at)}, {entry.cause}: {asked}"
    if entry.decided_by:
        said += f" -- {entry.state} by {shown(entry.decided_by)}" + (f": {quoted(entry.note)}" if entry.note else "")
    return said


def _card(card: CardSummary) -> str:
    return f"card {card.id} ({card.type}" + (f", {quoted(card.name)})" if card.name else ")")

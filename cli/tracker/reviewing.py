"""`openchannel tracker review`: what the tracker asks, and the answers."""

from collections.abc import Iterator
from typing import Annotated

import typer

from cli.tracker.opening import LARGEST_ID, Json, actor, customers, reason_of, show, shown
from cli.tracker.words import at, headline
from config.settings import SettingsError
from console import tracking as acts
from console.problems import unknown
from crm_store.views import cards, snapshot, tracking
from crm_store.views.tracking import ReviewView
from tracker.decisions import ReviewCause
from tracker.texts import clean

MOST = 1000

CAUSES = {
    ReviewCause.SUGGESTED: "the open channel lets persons decide about what was only typed (T8)",
    ReviewCause.EDITED: "a person has edited a card of the first one (T7)",
    ReviewCause.CONTRADICTION: "each has proven a phone or an e-mail of his own (T8)",
    ReviewCause.SHARED: "too many different customers give it (T9)",
}

review = typer.Typer(name="review", help="What the tracker asks: list it, accept, reject.", invoke_without_command=True)

ReviewId = Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The number in the list.")]


@review.callback()
def list_command(
    context: typer.Context,
    state: Annotated[str, typer.Option("--state", help="open, accepted or rejected.")] = "open",
    cause: Annotated[ReviewCause | None, typer.Option("--cause", help="Only those.")] = None,
    card: Annotated[
        int | None, typer.Option("--card", min=1, max=LARGEST_ID, help="Only what is about this card's customer.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List what the tracker asks: two customers who may be one, or an identifier that may be many people's."""
    if context.invoked_subcommand is not None:
        return
    if state not in ("open", "accepted", "rejected"):
        raise SettingsError(f"--state: {shown(state)} is none of open, accepted and rejected")
    with customers("review") as database, snapshot(database) as connection:
        family = None
        if card is not None:
            found = cards.find(connection, card)
            if found is None:
                raise unknown("card", card)
            family = cards.family(connection, found.contact_id or found.id)
        entries = tracking.reviews(connection, limit + 1, state=state, cause=cause, card_ids=family, with_settled=False)
    text = "\n".join(line for entry in entries[:limit] for line in _described(entry))
    if len(entries) > limit:
        text += f"\nthere are more: --limit takes up to {MOST}"
    show(entries[:limit], list[ReviewView], f"{text or f'nothing is {state}'}\n", as_json=as_json)


@review.command("accept")
def accept_command(
    review_id: ReviewId,
    note: Annotated[str, typer.Option("--note", help="A word on it.")] = "",
    as_json: Json = False,
) -> None:
    """The two are one customer and are merged; or the identifier is many people's, and is blocked."""
    with customers("review") as database:
        acts.accept_review(database, actor(), review_id, clean(note).strip())
        with snapshot(database) as connection:
            (decided,) = tracking.reviews(connection, 1, review_id=review_id)
    what = f"merged: card {decided.card.id}" if decided.card else "the identifier is blocked"
    show(decided, ReviewView, f"review {review_id} is accepted; {what}\n", as_json=as_json)


@review.command("reject")
def reject_command(
    review_id: ReviewId,
    note: Annotated[str, typer.Option("--note", help="Why; it stays in the records.")],
    as_json: Json = False,
) -> None:
    """The two are kept apart for ever; or the identifier matches again, whoever gives it."""
    why = reason_of(note, "--note")
    with customers("review") as database:
        acts.reject_review(database, actor(), review_id, why)
        with snapshot(database) as connection:
            (decided,) = tracking.reviews(connection, 1, review_id=review_id)
    what = "the two are kept apart" if decided.card else "the identifier matches again"
    show(decided, ReviewView, f"review {review_id} is rejected; {what}\n", as_json=as_json)


def _described(entry: ReviewView) -> Iterator[str]:
    yield headline(entry)
    yield f"    {CAUSES.get(ReviewCause(entry.cause), entry.cause)}"
    if entry.message:
        yield f"    message {entry.message.seq} of chat {entry.message.chat_id}, {at(entry.message.sent_at)}, gave it"
    if entry.state == "open":
        accept = "merges the two" if entry.card_id else "blocks it"
        reject = "keeps them apart" if entry.card_id else "lets it match again"
        yield f"    review accept {entry.id} {accept}; review reject {entry.id} --note '...' {reject}"
    yield ""

"""Why a chat is on a card, told to an operator at three in the morning. Pure: what is known in, a tree of text out."""

from collections.abc import Iterator
from itertools import pairwise

from rich.text import Text
from rich.tree import Tree

from cli.tracker.opening import shown
from cli.tracker.words import at, evidence, headline, quoted
from crm_store.views.provenance import Provenance, ProvenCard, ProvenChat, ProvenFact, ProvenIdentifier
from crm_store.views.tracking import LinkView, MergeView, MessagePlace


def story_of_card(known: Provenance) -> Tree:
    """All that is known of a customer."""
    name = f" {quoted(known.name)}" if known.name else ""
    tree = Tree(Text(f"card {known.id}{name}: {_count(len(known.cards), 'card')}, {_count(len(known.chats), 'chat')}"))
    _branch(tree, "cards", (_card(card, known.id) for card in known.cards))
    chats = tree.add(Text("why each chat is here", style="bold"))
    for chat in known.chats:
        _add(chats, _chat(chat), steps(known, chat))
    identifiers = tree.add(Text("phones, e-mails and messenger ids", style="bold"))
    for identifier in known.identifiers:
        _add(identifiers, f"{identifier.kind} {shown(identifier.key)}", _identifier(identifier))
    _branch(tree, "merges", (_merge(merge) for merge in known.merges))
    _branch(
        tree,
        "kept apart",
        (
            f"card {apart.card_id} from card {apart.other_id}"
            f" by {shown(apart.actor)}, {at(apart.at)}: {quoted(apart.reason)}"
            for apart in known.kept_apart
        ),
    )
    _branch(tree, "review list", (headline(review) for review in known.reviews))
    _branch(
        tree,
        "what persons did",
        (
            f"{at(entry.at)} {shown(entry.actor)}: {entry.act}, {entry.outcome} "
            + shown(f"({', '.join(f'{name} {value}' for name, value in entry.details.items())})")
            for entry in known.audit
        ),
    )
    return tree


def story_of_chat(known: Provenance, chat_id: int) -> Tree:
    """Why one chat is on its card, and what it gave."""
    chat = next(chat for chat in known.chats if chat.id == chat_id)
    name = f" {quoted(known.name)}" if known.name else ""
    tree = Tree(Text(f"{_chat(chat)} is on card {known.id}{name}"))
    _branch(tree, "because", steps(known, chat))
    _branch(
        tree,
        "it gave",
        (
            f"the {identifier.kind} {_given(fact)}"
            for identifier in known.identifiers
            for fact in identifier.facts
            if fact.chat_id == chat_id
        ),
    )
    tree.add(Text(f"all of the customer: openchannel tracker why {known.id}"))
    return tree


def steps(known: Provenance, chat: ProvenChat) -> Iterator[str]:
    """From the message that bound a chat, merge by merge, to the live card."""
    yield _binding(known, chat)
    active = [merge for merge in known.merges if merge.undone_at is None]
    for one, other in pairwise(_way(chat.card_id, known.id, active)):
        merge = next(merge for merge in active if {merge.card_id, merge.other_id} == {one, other})
        yield f"card {one} and card {other} are one customer's: {_merge(merge)}"


def _way(start: int, end: int, merges: list[MergeView]) -> list[int]:
    """The cards between two of one customer, over the merges that join them: there is one way, they are a forest."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        if way[-1] == end:
            return way
        for merge in merges:
            pair = (merge.card_id, merge.other_id)
            if way[-1] in pair:
                following = pair[0] + pair[1] - way[-1]
                if following not in seen:
                    seen.add(following)
                    ways.append([*way, following])
    return []


def _binding(known: Provenance, chat: ProvenChat) -> str:
    said = _message(chat.message, "its message")
    rule = (chat.bound_by or "").partition(" ")[0]
    if chat.bound_by is None:
        return "no message of it has been processed yet"
    if rule == "T6":
        return f"{said} matched nobody, so card {chat.card_id} was made for it (T6)"
    if rule in ("T2", "T5") and chat.link:
        where = f"the first phone of card {chat.card_id}, remembered for ever" if rule == "T5" else "on"
        stood = f"which is {where}" if rule == "T5" else f"which stood {where} card {chat.card_id}"
        return f"{said} gave {_link(chat.link)}, {stood} ({rule})"
    if rule == "T8":
        return (
            f"a later proof contradicted what was only typed, so it got card {chat.card_id} of its own, "
            f"{at(chat.bound_at)} (T8)"
        )
    if rule == "person":
        return f"a person gave it card {chat.card_id} of its own, {at(chat.bound_at)}{_who_parted(known, chat)}"
    return f"{said} bound it to card {chat.card_id} ({shown(chat.bound_by)})"


def _who_parted(known: Provenance, chat: ProvenChat) -> str:
    for entry in reversed(known.audit):
        if entry.act == "detach_chat" and entry.details.get("new_card_id") == chat.card_id:
            return f", by {shown(entry.actor)}: {quoted(entry.details.get('reason', ''))}"
    return ""


def _card(card: ProvenCard, live_id: int) -> str:
    state = "the live one" if card.live else f"merged into card {live_id}"
    made = f"made {at(card.made_at)} by {shown(card.made_by)}"
    if card.made_from_chat_id:
        made += f" from chat {card.made_from_chat_id}"
    said = f"card {card.id} ({card.type}), {state}, {made}"
    if card.edited_at:
        said += f"; edited by a person {at(card.edited_at)}"
    if card.name and card.name_from:
        origin = {
            "customer": _message(card.name_from.message, "a message"),
            "person": f"{shown(card.name_from.actor)}, {at(card.name_from.at)}",
        }.get(card.name_from.by, "its chat's profile")
        said += f"; named {quoted(card.name)} by {origin}"
    return said


def _chat(chat: ProvenChat) -> str:
    name = f", {quoted(chat.name)}" if chat.name else ""
    return f"chat {chat.id} ({chat.channel_kind}, {shown(chat.channel_key)}{name})"


def _identifier(identifier: ProvenIdentifier) -> Iterator[str]:
    if identifier.remembered_for:
        yield f"remembered for ever: chats that give it come to card {identifier.remembered_for} (T5)"
    if identifier.standing == "shared":
        yield "shared: too many different customers give it, so it matches nobody until a person says otherwise (T9)"
    if identifier.standing == "trusted":
        yield "trusted: a person says that it matches, whoever gives it (T9)"
    if blocked := identifier.blocked:
        yield (
            f"blocked as {shown(blocked.value)} by {shown(blocked.actor)}, {at(blocked.at)}: {quoted(blocked.reason)}"
        )
    for fact in identifier.facts:
        if fact.chat_id:
            yield f"chat {fact.chat_id} ({shown(fact.channel_key)}) gave {_given(fact)}"
        else:
            yield f"{shown(fact.given_by)} entered it on card {fact.card_id}, {at(fact.given_at)}"
    for parted in identifier.detached:
        yield f"off card {parted.card_id} for ever, by {shown(parted.actor)}, {at(parted.at)}: {quoted(parted.reason)}"


def _given(fact: ProvenFact) -> str:
    said = _message(fact.message, "a message") if fact.message else at(fact.given_at)
    return (
        f"{shown(fact.value)}, written {quoted(fact.written)}, {evidence(fact.evidence)}, in {said}; "
        f"on card {fact.card_id} by {shown(fact.rule) or 'an older version'}"
    )


def _merge(merge: MergeView) -> str:
    said = f"merge {merge.id}, {at(merge.merged_at)}, card {merge.loser_id} into card {merge.survivor_id}"
    if merge.rule == "person":
        said += f", by {shown(merge.actor)}"
    elif merge.rule.startswith("C2"):
        said += ", when a person made the card (C2)"
    if merge.link:
        gave = _message(merge.message, "a message")
        said += f": {gave} gave {_link(merge.link)}, which belonged to card {merge.other_id} too"
        said += f" ({merge.rule})" if merge.rule.startswith("T") else ""
    if merge.reason:
        said += f": {quoted(merge.reason)}"
    if merge.undone_at:
        said += f"; UNDONE {at(merge.undone_at)} by {shown(merge.undone_by)}: {quoted(merge.undo_reason)}"
    return said


def _link(link: LinkView) -> str:
    return f"the {link.kind} {shown(link.value)} ({evidence(link.evidence)})"


def _message(message: MessagePlace | None, otherwise: str) -> str:
    if message is None:
        return otherwise
    return f"message {message.seq} of chat {message.chat_id} ({at(message.sent_at)}, inbox {message.inbox_id})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _branch(tree: Tree, title: str, lines: Iterator[str]) -> None:
    told = list(lines)
    if told:
        branch = tree.add(Text(title, style="bold"))
        for line in told:
            branch.add(Text(line))


def _add(tree: Tree, title: str, lines: Iterator[str]) -> None:
    branch = tree.add(Text(title))
    for line in lines:
        branch.add(Text(line))

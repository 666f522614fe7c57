"""How the commands of dead letters word what they show."""

import json
from collections.abc import Iterator
from typing import Any

from rich.tree import Tree

from cli.channels import table
from cli.dialogs.trees import section
from cli.tracker.opening import shown
from cli.tracker.words import at
from console.letter_documents import ItemView, Letter
from crm_store.views.dead_letters import Attempt, Figures, LetterAct, LetterGroup, LetterStats, LetterSummary

LONGEST_ERROR = 60
"""Characters of an error in a table."""

STATES = {
    "dead": "dead: it waits for a person",
    "replaying": "on its way again",
    "done": "done: it went through after it had died",
    "discarded": "discarded: nobody needed it",
}


def listed(letters: list[LetterSummary]) -> str:
    """A table of letters."""
    headings = ("id", "state", "died (UTC)", "channel", "step", "reason", "group", "error")
    return table(headings, [_row(letter) for letter in letters])


def _row(letter: LetterSummary) -> tuple[str, ...]:
    error = shown(letter.error)
    return (
        str(letter.id),
        letter.state.value + (f" ({letter.deaths} deaths)" if letter.deaths > 1 else ""),
        f"{letter.died_at:%Y-%m-%d %H:%M:%S}",
        shown(letter.channel or "gone"),
        letter.step,
        shown(letter.reason),
        letter.group,
        error if len(error) <= LONGEST_ERROR else f"{error[: LONGEST_ERROR - 3]}...",
    )


def grouped(groups: list[LetterGroup]) -> str:
    """A table of causes."""
    headings = ("group", "letters", "step", "reason", "channels", "first (UTC)", "last (UTC)", "cause")
    return table(
        headings,
        [
            (
                one.group,
                str(one.letters),
                one.step,
                shown(one.reason),
                shown(", ".join(one.channels)),
                f"{one.first_at:%Y-%m-%d %H:%M:%S}",
                f"{one.last_at:%Y-%m-%d %H:%M:%S}",
                shown(one.fingerprint),
            )
            for one in groups
        ],
    )


def counted(stats: LetterStats) -> str:
    """Figures, table by table."""
    if not stats.all.letters:
        return "there is no dead letter\n"
    since = f", the oldest since {at(stats.all.oldest_dead_at)}" if stats.all.oldest_dead_at else ""
    parts = [f"{stats.all.dead} of {stats.all.letters} letters wait for a person{since}\n"]
    for heading, figures in (
        ("state", stats.states),
        ("step", stats.steps),
        ("reason", stats.reasons),
        ("channel", stats.channels),
    ):
        rows = [_figures(name, of) for name, of in figures.items()]
        parts.append(table((heading, "letters", "dead", "last hour", "last day", "last death (UTC)"), rows))
    return "\n".join(parts)


def _figures(name: str, of: Figures) -> tuple[str, ...]:
    last = f"{of.last_died_at:%Y-%m-%d %H:%M:%S}" if of.last_died_at else ""
    return (shown(name), str(of.letters), str(of.dead), str(of.last_hour), str(of.last_day), last)


# One letter


def story(letter: Letter) -> Tree:
    """Everything that is kept of a letter, and what to do."""
    tree = Tree(f"letter {letter.id} is {STATES[letter.state.value]}")
    section(tree, "What to do", [letter.advice])
    section(tree, "Why it died", _why(letter))
    section(tree, "What died", _what(letter))
    section(tree, "Attempts", map(_attempt, letter.failures))
    section(tree, "Traceback", shown_lines(letter.traceback))
    if letter.item is not None:
        _contents(tree, letter.item)
    if letter.delivery is not None:
        section(tree, "What was to be sent", shown_lines(letter.delivery.text))
    section(tree, "What was done with it", (line for act in letter.acts for line in _act(act)))
    if not letter.revealed:
        tree.add("what customers wrote is masked; --reveal shows it, and the audit says who looked")
    return tree


def shown_lines(text: str) -> list[str]:
    """The lines of a text, each as a terminal may have it."""
    return [shown(line) for line in text.splitlines()]


def _why(letter: Letter) -> Iterator[str]:
    yield f"{letter.step}: {shown(letter.reason)}, {at(letter.died_at)}"
    if letter.error:
        yield shown(letter.error)
    yield f"cause {shown(letter.fingerprint)}, group {letter.group}"
    if letter.deaths > 1:
        yield f"it died {letter.deaths} times, first {at(letter.first_died_at)}"


def _what(letter: Letter) -> Iterator[str]:
    kind = f" ({letter.channel_kind})" if letter.channel_kind else ""
    channel = f"{shown(letter.channel)}{kind}" if letter.channel else "a channel that is gone"
    item, delivery = letter.item, letter.delivery
    if item is not None:
        yield f"inbox item {letter.inbox_id}, which came in by {channel}, {at(item.received_at)}; stage: {item.stage}"
        place = f", place {item.chat_seq} of its history" if item.chat_seq is not None else ""
        yield f"chat {letter.chat_id}{place}" if letter.chat_id else "nobody knows yet whose it is"
        reached = {"card": item.card_id, "dialog": item.dialog_id}
        if any(reached.values()):
            yield "it had reached " + ", ".join(f"{what} {row_id}" for what, row_id in reached.items() if row_id)
    if delivery is not None:
        writer = f"operator {delivery.operator_id}" if delivery.operator_id else "openchannel"
        yield f"a message of ours to chat {letter.chat_id} by {channel}, written by {writer}, {at(delivery.written_at)}"
        dialog = f" of dialog {delivery.dialog_id}" if delivery.dialog_id else ""
        yield f"place {delivery.seq} of its history{dialog}; its state: {delivery.state}; its key: {delivery.key}"


def _attempt(attempt: Attempt) -> str:
    said = f": {shown(attempt.error)}" if attempt.error else ""
    which = f"{attempt.step}, attempt {attempt.attempt}, {shown(attempt.worker)}"
    return f"{at(attempt.failed_at)}, {which}: {shown(attempt.reason)}{said}"


def _contents(tree: Tree, item: ItemView) -> None:
    if item.message is not None:
        section(tree, "The message, as it is handled", _pretty(item.message))
    title = f"What came in ({item.raw.form}, {item.raw.size} bytes)"
    if item.raw.form == "json":
        section(tree, title, _pretty(item.raw.content))
    else:
        section(tree, title, shown_lines(item.raw.content) if item.raw.content is not None else ["***"])
    if item.headers:
        section(tree, "Headers", [f"{shown(name)}: {shown(value)}" for name, value in item.headers.items()])


def _act(act: LetterAct) -> Iterator[str]:
    why = f": {shown(act.reason)}" if act.reason else ""
    yield f"{at(act.at)}, {shown(act.actor)}, {act.act}{why}"
    for change in (act.details or {}).get("changes", ()):
        yield f"    {shown(change['path'])}: {_value(change['was'])} became {_value(change['became'])}"


def _value(value: Any) -> str:
    return "nothing" if value is None else shown(json.dumps(value, ensure_ascii=False))


def _pretty(document: Any) -> list[str]:
    return shown_lines(json.dumps(document, ensure_ascii=False, indent=2))

"""How the commands of replays word what they show."""

from collections import Counter
from collections.abc import Iterator, Sequence

from cli.channels import table
from cli.dialogs.words import STATUSES
from cli.tracker.opening import shown
from cli.tracker.words import at, quoted
from console.replays import DryRun
from crm_store.replays import ItemState, ReplayState
from crm_store.views.replays import Replay, ReplayedLetter, ReplayOutcome, ReplayWithOutcomes
from worker.rehearsal import CardEffect, DialogEffect, Ending, Rehearsed

REASONS = {
    "asked": "it was asked to",
    "canary_failed": "a letter of the canary is dead again",
    "too_many_failures": "too many of the last letters are dead again",
    "defect": "driving it failed: the clock's log says how",
}

OUTCOMES = {
    "done": "went through",
    "sent": "sent",
    "delivered": "sent, and delivered",
    "read": "sent, and read",
    "duplicate": "was accepted and done in another delivery; nothing was changed",
    "split": "its body became items of their own",
    "no_events": "its body has no event",
    "not_dead": "was no dead letter any more at its turn",
    "gone": "is gone: it was erased, or was too old",
}

ENDINGS = {
    Ending.DONE: "goes through",
    Ending.IGNORED: "ends ignored",
    Ending.SENT: "is sent again",
    Ending.FAILS: "fails again",
    Ending.NOT_DEAD: "is no dead letter: nothing to replay",
    Ending.BUSY: "cannot be told: somebody works on its chat at the moment; ask again",
    Ending.LEFT_OUT: "is left out: its chat has more letters than can be shown at once",
    Ending.NOT_TRIED: "is not tried out: workers have died of it, and a replay runs it in one, alone",
}

COUNTED = {
    Ending.DONE: "would go through",
    Ending.IGNORED: "would end ignored",
    Ending.SENT: "would be sent again",
    Ending.FAILS: "would fail again",
    Ending.NOT_DEAD: "not dead",
    Ending.BUSY: "busy",
    Ending.LEFT_OUT: "left out",
    Ending.NOT_TRIED: "not tried out",
}

# Replays


def listed(replays: Sequence[Replay]) -> str:
    """A table of replays."""
    headings = ("id", "state", "asked (UTC)", "by", "letters", "done", "failed", "skipped", "left", "what")
    rows = [
        (
            str(one.id),
            one.state.value,
            f"{one.asked_at:%Y-%m-%d %H:%M:%S}",
            shown(one.actor),
            str(one.total),
            str(one.done),
            str(one.failed),
            str(one.skipped),
            str(one.waiting + one.under_way),
            _selection(one),
        )
        for one in replays
    ]
    return table(headings, rows)


def told(replay: ReplayWithOutcomes) -> str:
    """Who, what, how far, and how its letters ended."""
    lines = [
        f"replay {replay.id}: {standing(replay)}",
        f"asked for by {shown(replay.actor)}, {at(replay.asked_at)}: {_selection(replay)}",
        f"pace: {_pace(replay)}",
    ]
    if replay.state is not ReplayState.RUNNING:
        lines.append(f"{replay.state} since {at(replay.changed_at)}")
    if replay.changed_by:
        lines.append(f"last stopped or resumed by {shown(replay.changed_by)}")
    lines += map(_outcome, replay.outcomes)
    return "\n".join(lines) + "\n"


def standing(replay: Replay) -> str:
    """How far it is, in one line."""
    ended = f"{replay.done} done, {replay.failed} failed, {replay.skipped} skipped"
    left = "".join(f", {n} {word}" for n, word in ((replay.under_way, "under way"), (replay.waiting, "waiting")) if n)
    why = f" ({REASONS.get(replay.reason, replay.reason)})" if replay.reason else ""
    return f"{replay.state}{why}: of {replay.total} letters {ended}{left}"


def following(replay: Replay) -> str:
    """What to do next, if anything."""
    if replay.state in (ReplayState.STOPPED, ReplayState.BRAKED) and replay.waiting:
        return f"to go on with the {replay.waiting} that wait: openchannel dead-letters resume {replay.id}\n"
    if replay.failed:
        return f"what failed: openchannel dead-letters replays show {replay.id} --letters --state failed\n"
    return ""


def letters_of(letters: Sequence[ReplayedLetter]) -> str:
    """A table of a replay's letters."""
    headings = ("place", "letter", "state", "outcome", "sent (UTC)", "ended (UTC)")
    rows = [
        (
            str(one.position),
            str(one.letter_id),
            one.state.value,
            shown(one.outcome),
            f"{one.sent_at:%Y-%m-%d %H:%M:%S}" if one.sent_at else "",
            f"{one.ended_at:%Y-%m-%d %H:%M:%S}" if one.ended_at else "",
        )
        for one in letters
    ]
    return table(headings, rows)


def _outcome(one: ReplayOutcome) -> str:
    meaning = "dead again of " + shown(one.outcome) if one.state is ItemState.FAILED else OUTCOMES.get(one.outcome)
    return f"    {one.letters} {one.state}: {meaning or shown(one.outcome)}"


def _selection(replay: Replay) -> str:
    named = {name: value for name, value in replay.selection.items() if name != "all"}
    return ", ".join(f"{name} {_named(value)}" for name, value in named.items()) or "all dead letters"


def _named(value: object) -> str:
    return shown(" ".join(map(str, value)) if isinstance(value, list) else value)


def _pace(replay: Replay) -> str:
    rate = f"{replay.rate:g} letters a second" if replay.rate else "as fast as they go through"
    canary = f", the first {replay.canary} alone" if replay.canary else ""
    return f"{rate}{canary}; it brakes above {replay.max_failures:.0%} of failures"


# Dry runs


def rehearsed(found: DryRun) -> str:
    """What a replay would do, letter by letter."""
    lines = [line for one in found.letters for line in _letter(one)]
    counts = Counter(one.ending for one in found.letters)
    endings = ", ".join(f"{n} {COUNTED[ending]}" for ending, n in counts.most_common())
    first = "the first " if found.total > len(found.letters) else ""
    which = f"{first}{len(found.letters)} of {found.total} letters"
    return "\n".join([*lines, f"{which}: {endings}; nothing was changed: this was a dry run"]) + "\n"


def _letter(one: Rehearsed) -> Iterator[str]:
    yield f"letter {one.letter_id} {ENDINGS[one.ending]}{_why(one)}"
    if one.error:
        yield f"    {shown(one.error)} (cause {shown(one.cause)})"
    for merge in one.merges:
        yield f"    card {merge.loser_id} is merged into card {merge.survivor_id} (T7)"
    if one.cards:
        yield f"    {', '.join(map(_card, one.cards))}"
    if one.dialog:
        yield f"    {_dialog(one.dialog)}"
    for text in one.texts:
        yield f"    the customer is {'sent' if one.channel_key else 'told'}: {quoted(text)}"


def _why(one: Rehearsed) -> str:
    if one.ending is Ending.FAILS:
        return f" in {one.step}: {shown(one.reason)}"
    if one.ending is Ending.IGNORED:
        return f": {OUTCOMES.get(one.reason, shown(one.reason))}"
    if one.ending is Ending.SENT:
        return f", by {shown(one.channel_key)}"
    return f": {shown(one.reason)}" if one.reason else ""


def _card(card: CardEffect) -> str:
    return f"a new {card.type}" if card.new else f"{card.type} {card.id}"


def _dialog(dialog: DialogEffect) -> str:
    which = "a new dialog" if dialog.new else f"dialog {dialog.id}"
    said = f"{which} in {quoted(dialog.open_channel.name)}: {STATUSES[dialog.status]}"
    if dialog.operator:
        return f"{said}, {shown(dialog.operator.name)}" + (f" ({dialog.rule})" if dialog.rule else "")
    obstacles = ", ".join(f"{n} {reason}" for reason, n in dialog.obstacles.items())
    return f"{said}; {dialog.verdict}" + (f": {obstacles}" if obstacles else "") if dialog.verdict else said

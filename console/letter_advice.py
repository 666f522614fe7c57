"""What to do with a dead letter, in one line: for whoever is woken by it at three in the morning."""

from collections.abc import Mapping

from crm_store.dead_letters import LetterState
from crm_store.views.dead_letters import KeptLetter

_SETTLED: Mapping[LetterState, str] = {
    LetterState.REPLAYING: "it is on its way again; look in a minute: it is done then, or dead again",
    LetterState.DONE: "nothing: it went through after it had died",
    LetterState.DISCARDED: "nothing; if it is wanted after all: openchannel dead-letters restore {id} --reason WHY",
}

_BY_REASON: Mapping[str, str] = {
    "unknown_account": "connect the account that it came from (openchannel apply), then replay it",
    "worker_crashed": "three workers died of it, one after the other: look at their logs and memory at these times, "
    "and replay it when the cause is mended; one more crash makes it dead again",
    "no_callback_url": "give the channel its callback_url (openchannel apply), then replay it",
    "bad_callback_url": "mend the channel's callback_url (openchannel apply), then replay it",
    "secret_key": "add the key of the channel's secrets to OPENCHANNEL_SECRET_KEY, then replay it",
    "no_secret": "give the channel a secret (openchannel channels rotate-secret), then replay it",
    "no_channel": "its channel is gone: write to the customer another way, and discard it",
    "reported_failed": "its channel took it and could not deliver it; a replay sends it anew, if the customer can be "
    "reached again",
}

_BY_STEP: Mapping[str, str] = {
    "parse": "the adapter cannot read it: the traceback says where. Mend or update the adapter and replay it, or edit "
    "the slice (openchannel dead-letters edit {id} --set PATH=VALUE)",
    "accept": "PostgreSQL refused its row, so the slice alone was kept. Edit the field that it refuses (a text that is "
    "too long, a number out of range) and replay it; report it: this is our defect",
    "deliver": "the receiver did not take it: when it answers again, replay it; the customer has not seen it",
}

_EDITED = "it was edited and can be read now: replay it (openchannel dead-letters replay {id})"
_DEFECT = (
    "the last lines of the traceback say what failed in {step}. Mend it, then replay a few of its group first: "
    "openchannel dead-letters replay --group {group} --canary 5"
)


def advice(letter: KeptLetter) -> str:
    """What to do next."""
    summary = letter.summary
    return _wording(letter).format(id=summary.id, step=summary.step, group=summary.group)


def _wording(letter: KeptLetter) -> str:
    summary = letter.summary
    if summary.state in _SETTLED:
        return _SETTLED[summary.state]
    unread = summary.step in {"parse", "accept"}
    if unread and letter.item is not None and letter.item.message is not None:
        return _EDITED
    return _BY_REASON.get(summary.reason) or _BY_STEP.get(summary.step, _DEFECT)

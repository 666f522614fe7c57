"""The verdict: everything that was looked for, whether it was found or not."""

from loadgen.operators import Acts
from loadgen.report_data import Verdict
from loadgen.verdict.acts import acts_done
from loadgen.verdict.cards import cards, customers_in
from loadgen.verdict.distribution import distribution, judged
from loadgen.verdict.histories import histories
from loadgen.verdict.inbox import inbox
from loadgen.verdict.seen import Seen
from loadgen.verdict.truth import Truth


def judge(truth: Truth, acts: Acts, seen: Seen) -> Verdict:
    """Hold what the desk shows against the truth. acts: of the operators."""
    messages = truth.messages
    edits = sum(bool(one.request.meaning.edits) for one in truth.readable.values())
    return Verdict(
        findings=[
            *inbox(truth, seen),
            *histories(truth, seen),
            *cards(truth, seen),
            *distribution(truth, seen),
            *acts_done(acts, seen),
        ],
        checked={
            "messages": len(messages),
            "edits": edits,
            "of groups and bots": len(truth.readable) - len(messages) - edits,
            "poison": len(truth.poison),
            "chats": len({(one.request.channel, one.request.meaning.chat) for one in messages.values()}),
            "cards": customers_in(truth),
            "turns": judged(seen),
            "acts of operators": acts.accepted + acts.answered + acts.closed,
        },
        ledger=dict(seen.ledger),
    )

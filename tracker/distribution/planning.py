"""The plan: dialog by dialog in the order of their age, so that none overtakes another (D8)."""

from collections.abc import Iterable, Mapping, Sequence

from tracker.channels import Distribution
from tracker.distribution.bench import NAMED, Bench, Choice, Policy
from tracker.distribution.evenly import Evenly
from tracker.distribution.strictly import Strictly
from tracker.distribution.to_all import ToAll
from tracker.distribution.values import UNLIMITED, Decision, PassedOver, Plan, RosterOperator, WaitingDialog

POLICIES: Mapping[Distribution, type[Policy]] = {
    Distribution.EVENLY: Evenly,
    Distribution.STRICTLY: Strictly,
    Distribution.ALL: ToAll,
}


def free_slots(operators: Iterable[RosterOperator], check_availability: bool) -> int:
    """How many waiting dialogs could find an operator now."""
    eligible = (operator.free for operator in operators if operator.ineligible(check_availability) is None)
    return min(UNLIMITED, sum(eligible))


def plan(
    distribution: Distribution,
    waiting: Sequence[WaitingDialog],
    operators: Sequence[RosterOperator],
    turn: int,
    check_availability: bool,
    *,
    responsible: Iterable[RosterOperator] = (),
    unread: int = 0,
) -> Plan:
    """Find operators for the waiting dialogs, and for those that lose theirs, oldest first (D5, D8).

    waiting: in the order of their age. operators: of the roster, at least as many eligible ones, in the order of the
    policy, as there are dialogs and operators who let one pass; or all. unread: how many there are besides. turn: how
    many turns the open channel has had. responsible: the people whom dialogs prefer, on the roster or not (D9).
    """
    responsible = list(responsible)
    bench = Bench(operators, responsible, check_availability)
    policy = POLICIES[distribution](bench)
    beyond = {PassedOver.NOT_REACHED: unread} if unread else {}
    current = {one.operator_id: (one.turn, one.given) for one in (*responsible, *operators)}
    turns: dict[int, tuple[int, int]] = {}
    decisions = []
    stalled = False
    for dialog in waiting:
        filled = _named(bench.full)
        choice, rule = _choose(policy, bench, dialog, stalled=stalled)
        if choice is None:
            stalled = stalled or dialog.holder_id is None
            kept = dialog.holder_id is not None
            decisions.append(
                Decision(dialog.dialog_id, "D5" if kept else "D8", kept=kept, passed_over=filled[0], unnamed=filled[1])
            )
            continue
        decisions.append(
            Decision(
                dialog.dialog_id,
                rule,
                choice.operator_id,
                offered=choice.operator_id is None,
                restarted=choice.restarted,
                passed_over=filled[0] | _passed_over(choice, dialog.holder_id),
                unnamed=filled[1] | {why: n for why, n in choice.unnamed.items() if n} | beyond,
            )
        )
        if dialog.holder_id is not None and (returned := bench.takes(dialog.holder_id)) is not None:
            policy.returned(returned)
        if choice.operator_id is not None:
            turn += 1
            operator = bench.gives(choice.operator_id)
            was, _ = turns.get(choice.operator_id, current[choice.operator_id])
            first = dialog.first and rule == policy.rule
            turns[choice.operator_id] = (turn if first else was, turn)
            if choice.operator_id in bench.available:
                policy.given(operator, *turns[choice.operator_id])
    ineligible = {why: tuple(ids) for why, ids in bench.ineligible.items()}
    full = {why: tuple(ids) for why, ids in bench.full.items()}
    return Plan(tuple(decisions), ineligible, turns, turn, full)


def _choose(policy: Policy, bench: Bench, dialog: WaitingDialog, *, stalled: bool) -> tuple[Choice | None, str]:
    """The responsible person before the roster (D9), unless he has let the dialog pass.

    stalled: an older one waits for the roster; whoever has got room since is to have that (D8).
    """
    preferred = dialog.preferred_id
    if preferred is not None and preferred not in {*dialog.passed_by, dialog.holder_id} and bench.has_room(preferred):
        return Choice(preferred), "D9"
    return None if stalled else policy.choose(dialog), policy.rule


def _passed_over(choice: Choice, holder_id: int | None) -> dict[PassedOver, tuple[int, ...]]:
    """A holder who loses it has let it pass."""
    passed_over = {why: tuple(ids) for why, ids in choice.passed_over.items() if ids}
    let_pass = passed_over.get(PassedOver.LET_IT_PASS, ())
    if holder_id is not None and holder_id not in let_pass:
        passed_over[PassedOver.LET_IT_PASS] = (*let_pass, holder_id)
    return passed_over


def _named(full: Mapping[PassedOver, Sequence[int]]) -> tuple[dict[PassedOver, tuple[int, ...]], dict[PassedOver, int]]:
    """Who was filled up by this plan's earlier decisions is at his limit for the later ones."""
    named = {why: tuple(ids[:NAMED]) for why, ids in full.items()}
    return named, {why: len(ids) - NAMED for why, ids in full.items() if len(ids) > NAMED}

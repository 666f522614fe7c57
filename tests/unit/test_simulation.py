"""Small worlds, computed by hand: what a recorded period would have been (D2-D9, D11, D13)."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tracker.channels import Distribution, OpenChannelSettings
from tracker.dialogs import DialogStatus
from tracker.distribution import PassedOver
from tracker.simulation import (
    Arrival,
    Configuration,
    Figures,
    OpenChannelFigures,
    OpenDialog,
    Recording,
    SimulatedOpenChannel,
    Simulation,
    Turn,
    Waiting,
)

pytestmark = pytest.mark.unit

DESK = 1
ANN, BOB, EVE = 11, 12, 13
CLOSED = DialogStatus.CLOSED


def arrival(number: int, at: float, reaction: float | None = 10, handled: float = 100, **more: Any) -> Arrival:
    """Accepted after `reaction`, closed `handled` seconds later."""
    more = {"course": ((handled, CLOSED),), **more}
    return Arrival(number, more.pop("open_channel_id", DESK), at, accepted_after=reaction, **more)


def desk(*roster: int, number: int = DESK, **settings: Any) -> Configuration:
    """One open channel."""
    return Configuration({number: SimulatedOpenChannel(number, OpenChannelSettings(**settings), roster)})


def simulated(configuration: Configuration, arrivals: Sequence[Arrival], recording: Recording | None = None) -> Figures:
    """All of it."""
    simulation = Simulation(recording or Recording(10_000), configuration)
    for one in arrivals:
        simulation.arrive(one)
    return simulation.finish()


def of_desk(*given: Any) -> OpenChannelFigures:
    """The only open channel's figures."""
    return simulated(*given).open_channels[DESK]


def assignments(figures: OpenChannelFigures) -> dict[int, int]:
    """By operator."""
    return {one: each.assignments for one, each in figures.operators.items()}


def test_evenly_goes_round():
    """D2, D13: each in his turn, and waiting counts from the arrival."""
    figures = of_desk(desk(ANN, BOB), [arrival(n, n * 10) for n in range(5)])
    assert assignments(figures) == {ANN: 3, BOB: 2}
    assert figures.to_assignment == Waiting(5, 0.0, 0.0, 0.0)
    assert figures.to_acceptance == Waiting(5, 10.0, 10.0, 10.0)
    assert (figures.arrivals, figures.never_assigned, figures.cut_off, figures.longest_backlog) == (5, 0, 0, 0)


def test_turns_go_on_where_they_were():
    """D2: who had the last one before the period is not the first in it."""
    turns = {(DESK, ANN): Turn(7, 7), (DESK, BOB): Turn(6, 6)}
    figures = of_desk(desk(ANN, BOB), [arrival(1, 0)], Recording(1000, turns=turns))
    assert assignments(figures) == {ANN: 0, BOB: 1}


def test_strictly_goes_to_the_head():
    """D3, D7: as long as he has room."""
    figures = of_desk(desk(ANN, BOB, distribution="strictly", max_dialogs=2), [arrival(n, n) for n in range(3)])
    assert assignments(figures) == {ANN: 2, BOB: 1}


def test_at_the_limit_it_waits_for_a_slot():
    """D7, D8: the second is given when the first is closed, 110 s after it came; he was full from 0 to the end."""
    figures = of_desk(desk(ANN, max_dialogs=1), [arrival(1, 0), arrival(2, 1), arrival(3, 2)])
    assert figures.to_assignment == Waiting(3, 109.0, 218.0, 218.0)
    assert figures.longest_backlog == 2
    assert (figures.operators[ANN].seconds_at_limit, figures.operators[ANN].times_at_limit) == (330.0, 3)


def test_the_oldest_is_served_first():
    """D8: none overtakes another, so the last one waits longest."""
    arrivals = [arrival(n, n, 0, 50) for n in range(4)]
    figures = of_desk(desk(ANN, max_dialogs=1), arrivals)
    assert figures.to_assignment == Waiting(4, (49 + 98) / 2, 147.0, 147.0)


def test_answered_dialogs_need_not_count():
    """D7: with `without_answered` the slot is free once he has answered."""
    course = ((20.0, DialogStatus.AWAITING_CUSTOMER), (100.0, CLOSED))
    arrivals = [arrival(1, 0, course=course), arrival(2, 1, course=course)]
    assert of_desk(desk(ANN, max_dialogs=1), arrivals).to_assignment.longest == 109
    assert of_desk(desk(ANN, max_dialogs=1, counted="without_answered"), arrivals).to_assignment.longest == 29


def test_a_dialog_counts_again_when_the_customer_writes():
    """D7: `without_awaiting_customer`; so nothing is given to him then."""
    course = ((20.0, DialogStatus.AWAITING_CUSTOMER), (40.0, DialogStatus.AWAITING_OPERATOR), (100.0, CLOSED))
    configuration = desk(ANN, max_dialogs=1, counted="without_awaiting_customer")
    figures = of_desk(configuration, [arrival(1, 0, course=course), arrival(2, 60)])
    assert figures.to_assignment.longest == 50, "accepted at 10, closed at 110, and the other came at 60"


def test_one_personal_limit_over_two_open_channels():
    """D7: a slot that is freed on one is given to what waits on the other."""
    two = Configuration(
        {
            n: SimulatedOpenChannel(n, OpenChannelSettings(), (ANN,))
            for n in (1, 2)
        },
        personal_limits={ANN: 1},
    )  # fmt: skip
    figures = simulated(two, [arrival(1, 0), arrival(2, 10, open_channel_id=2)])
    assert figures.open_channels[1].to_assignment.longest == 0
    assert figures.open_channels[2].to_assignment.longest == 100


def test_who_is_too_slow_loses_it():
    """D5: after the clock it goes to the next one, who takes as long, and back to the first, who accepts it then."""
    figures = of_desk(desk(ANN, BOB, handover_after=60), [arrival(1, 0, 90)])
    assert assignments(figures) == {ANN: 2, BOB: 1}
    assert [figures.operators[one].handovers_lost for one in (ANN, BOB)] == [1, 1]
    assert figures.operators[ANN].first_assignments == 1
    assert figures.to_assignment.longest == 0
    assert figures.to_acceptance.longest == 60 + 60 + 60


def test_with_nobody_else_he_keeps_it():
    """D5: he is slow, but alone."""
    figures = of_desk(desk(ANN, handover_after=60), [arrival(1, 0, 90)])
    assert (assignments(figures), figures.operators[ANN].handovers_lost) == ({ANN: 1}, 0)
    assert figures.to_acceptance.longest == 90


def test_who_let_it_pass_does_so_again():
    """D5: as recorded, once; the next accepts in the time recorded."""
    figures = of_desk(desk(ANN, BOB), [arrival(1, 0, 20, let_pass=frozenset({ANN}))])
    assert assignments(figures) == {ANN: 1, BOB: 1}
    assert figures.to_acceptance.longest == 80


def test_a_handover_frees_the_slot_of_who_lost_it():
    """D5, D7, D8: what waits gets it at once; it is younger than what was handed on."""
    arrivals = [arrival(1, 0, 20, let_pass=frozenset({ANN})), arrival(2, 5), arrival(3, 6)]
    figures = of_desk(desk(ANN, BOB, max_dialogs=1, distribution="strictly"), arrivals)
    # 1: ANN; 2: BOB until 115; 3 waits. At 60 BOB is full: ANN keeps it, and accepts it within the next clock.
    assert figures.operators[ANN].handovers_lost == 0
    assert figures.to_assignment.longest == pytest.approx(109)


def test_what_becomes_an_offer_frees_his_slot_elsewhere():
    """D4, D5, D8, D9: the responsible person was too slow, it is offered to all, and he has room on his own channel."""
    two = Configuration(
        {
            1: SimulatedOpenChannel(1, OpenChannelSettings(distribution=Distribution.ALL, to_responsible=True), (ANN,)),
            2: SimulatedOpenChannel(2, OpenChannelSettings(), (BOB,)),
        },
        personal_limits={BOB: 1},
    )
    figures = simulated(two, [arrival(1, 0, 200, responsible_id=BOB), arrival(2, 10, open_channel_id=2)])
    assert figures.open_channels[1].operators[BOB].handovers_lost == 1
    assert figures.open_channels[2].to_assignment.longest == OpenChannelSettings().handover_after - 10


def test_strictly_begins_again_when_all_have_let_it_pass():
    """D3: at the head."""
    figures = of_desk(
        desk(ANN, BOB, EVE, distribution="strictly"), [arrival(1, 0, 5, let_pass=frozenset({ANN, BOB, EVE}))]
    )
    assert assignments(figures) == {ANN: 2, BOB: 1, EVE: 1}
    assert figures.to_acceptance.longest == 185


def test_offers_go_to_the_least_loaded():
    """D4: accepted in the time recorded, by who has least, then by the roster; nobody is assigned before."""
    figures = of_desk(desk(ANN, BOB, distribution="all"), [arrival(n, n) for n in range(4)])
    assert assignments(figures) == {ANN: 2, BOB: 2}
    assert figures.to_assignment == Waiting(4, 10.0, 10.0, 10.0)
    assert figures.to_assignment == figures.to_acceptance
    assert figures.longest_backlog == 4


def test_an_offer_waits_for_somebody_with_room():
    """D4, D7: an accept passes no limit."""
    figures = of_desk(desk(ANN, distribution="all", max_dialogs=1), [arrival(1, 0), arrival(2, 0)])
    assert figures.to_acceptance == Waiting(2, 60.0, 110.0, 110.0)


def test_the_responsible_person_gets_it():
    """D9: before the roster, without being on it, and without a turn; if he is away, the roster."""
    recording = Recording(
        10_000, presence={EVE: ((0.0, None), (50.0, PassedOver.AWAY)), ANN: ((0.0, None),), BOB: ((0.0, None),)}
    )
    arrivals = [arrival(n, n * 20, responsible_id=EVE) for n in range(4)]
    figures = of_desk(desk(ANN, BOB, to_responsible=True), arrivals, recording)
    assert assignments(figures) == {ANN: 1, BOB: 0, EVE: 3}
    assert assignments(of_desk(desk(ANN, BOB), arrivals, recording)) == {ANN: 2, BOB: 2}


def test_nobody_available_waits_until_somebody_comes():
    """D6, D8: from the recorded presence."""
    recording = Recording(1000, presence={ANN: ((0.0, PassedOver.OFFLINE), (300.0, None))})
    figures = of_desk(desk(ANN), [arrival(1, 100), arrival(2, 150)], recording)
    assert figures.to_assignment == Waiting(2, 175.0, 200.0, 200.0)
    unchecked = of_desk(desk(ANN, check_availability=False), [arrival(1, 100), arrival(2, 150)], recording)
    assert unchecked.to_assignment.longest == 0


def test_who_was_never_recorded_is_there_with_the_others():
    """A newcomer does not work at night alone."""
    recording = Recording(1000, presence={ANN: ((0.0, PassedOver.OFFLINE), (300.0, None), (400.0, PassedOver.OFFLINE))})
    figures = of_desk(desk(ANN, BOB), [arrival(1, 100), arrival(2, 150), arrival(3, 500)], recording)
    assert assignments(figures) == {ANN: 1, BOB: 1}
    assert figures.never_assigned == 1


def test_before_his_first_record_he_was_the_contrary():
    """D6: nothing earlier is known."""
    recording = Recording(1000, presence={ANN: ((300.0, PassedOver.AWAY),)})
    assert of_desk(desk(ANN), [arrival(1, 100)], recording).to_assignment.longest == 0
    assert of_desk(desk(ANN), [arrival(1, 400)], recording).never_assigned == 1


def test_the_end_of_the_day_returns_what_is_unanswered():
    """D11: the unanswered one is handled on by the other, in the time that it still needs; the answered one stays."""
    presence = {
        ANN: ((0.0, None), (50.0, PassedOver.WORKDAY_NOT_STARTED)),
        BOB: ((0.0, PassedOver.OFFLINE), (60.0, None)),
    }
    answered = ((5.0, DialogStatus.AWAITING_CUSTOMER), (500.0, CLOSED))
    recording = Recording(1000, presence=presence, reaction=7)
    simulation = Simulation(recording, desk(ANN, BOB))
    simulation.arrive(arrival(1, 0))
    simulation.arrive(arrival(2, 1, course=answered))
    figures = simulation.finish().open_channels[DESK]
    assert assignments(figures) == {ANN: 2, BOB: 1}
    assert figures.operators[BOB].first_assignments == 0
    assert figures.cut_off == 0


def test_a_short_leave_returns_nothing():
    """D11: of a day or more it does."""
    short = {ANN: ((0.0, None), (50.0, PassedOver.ON_LEAVE), (3_000.0, None)), BOB: ((0.0, None),)}
    long = {ANN: ((0.0, None), (50.0, PassedOver.ON_LEAVE), (90_000.0, None)), BOB: ((0.0, None),)}
    for presence, given in ((short, {ANN: 1, BOB: 0}), (long, {ANN: 1, BOB: 1})):
        assert assignments(of_desk(desk(ANN, BOB), [arrival(1, 0)], Recording(100_000, presence=presence))) == given


def test_merely_offline_it_is_handed_on_when_the_customer_writes():
    """D11: an accepted dialog."""
    presence = {ANN: ((0.0, None), (50.0, PassedOver.OFFLINE)), BOB: ((0.0, None),)}
    course = ((20.0, DialogStatus.AWAITING_CUSTOMER), (70.0, DialogStatus.AWAITING_OPERATOR), (100.0, CLOSED))
    figures = of_desk(desk(ANN, BOB), [arrival(1, 0, course=course)], Recording(1000, presence=presence))
    assert assignments(figures) == {ANN: 1, BOB: 1}
    assert figures.operators[ANN].handovers_lost == 0


def test_what_was_open_goes_on():
    """D7, D8: the held one until it is closed, then the waiting one; neither counts as an arrival."""
    held = OpenDialog(arrival(1, -100, handled=200), DialogStatus.ACCEPTED, ANN, -90.0, -80.0, first=False)
    waits = OpenDialog(arrival(2, -50), DialogStatus.QUEUED)
    recording = Recording(1000, open_dialogs=(waits, held))
    figures = of_desk(desk(ANN, max_dialogs=1), [arrival(3, 10)], recording)
    assert (figures.arrivals, assignments(figures)) == (1, {ANN: 2})
    assert figures.to_assignment.longest == 120 + 110 - 10, "after 1, closed at 120, and 2, accepted and handled by 230"


def test_what_somebody_had_who_is_not_on_the_roster_goes_back():
    """D11: off the roster of the configuration."""
    held = OpenDialog(arrival(1, -100, handled=200), DialogStatus.ACCEPTED, EVE, -90.0, -80.0, first=False)
    figures = of_desk(desk(ANN), [], Recording(1000, open_dialogs=(held,)))
    assert assignments(figures) == {ANN: 1}


def test_what_is_open_at_the_end_is_cut_off():
    """It is counted as such."""
    figures = of_desk(desk(ANN), [arrival(1, 0, course=())], Recording(1000))
    assert (figures.cut_off, figures.never_assigned) == (1, 0)


def test_what_nobody_accepted_is_handled_for_the_median():
    """The record says nothing else."""
    recording = Recording(1000, reactions={ANN: 15.0}, reaction=5.0, handling=50.0)
    one = Arrival(1, DESK, 0, accepted=False)
    figures = of_desk(desk(ANN, max_dialogs=1), [one, arrival(2, 1)], recording)
    assert figures.to_acceptance.median == (15 + 64 + 10) / 2


def test_a_moved_channel_feeds_the_other_open_channel():
    """Its dialogs begin there."""
    one = desk(ANN).open_channels[DESK]
    two = SimulatedOpenChannel(2, OpenChannelSettings(), (BOB,))
    configuration = Configuration({1: one, 2: two}, moved={77: 2})
    figures = simulated(configuration, [arrival(1, 0, channel_id=77), arrival(2, 0, channel_id=78)])
    assert [each.arrivals for each in figures.open_channels.values()] == [1, 1]


def test_an_inactive_open_channel_makes_no_dialogs():
    """C5."""
    inactive = SimulatedOpenChannel(DESK, OpenChannelSettings(), (ANN,), active=False)
    assert of_desk(Configuration({DESK: inactive}), [arrival(1, 0)]).arrivals == 0


def test_a_dismissed_operator_gets_nothing():
    """D6: whatever was recorded of him."""
    configuration = Configuration(desk(ANN, BOB).open_channels, dismissed=frozenset({ANN}))
    recording = Recording(1000, presence={ANN: ((0.0, None),)})
    assert assignments(of_desk(configuration, [arrival(1, 0), arrival(2, 1)], recording)) == {ANN: 0, BOB: 2}


@pytest.mark.parametrize("distribution", list(Distribution))
def test_the_same_input_gives_the_same_output(distribution):
    """Nothing in it is left to chance."""
    arrivals = [arrival(n, n * 3.0, n % 70, 100 + n % 13) for n in range(300)]
    configuration = desk(ANN, BOB, EVE, distribution=distribution, max_dialogs=3)
    assert simulated(configuration, arrivals) == simulated(configuration, arrivals)
    assert sum(Counter(assignments(of_desk(configuration, arrivals))).values()) >= 300

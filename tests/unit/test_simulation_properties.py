"""What holds in every simulated world, whoever comes, goes and lets pass (D5, D7, D8, D13)."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.channels import Distribution, OpenChannelSettings
from tracker.dialogs import DialogStatus
from tracker.distribution import PassedOver
from tracker.simulation import Arrival, Configuration, Recording, SimulatedOpenChannel, Simulation
from tracker.simulation.world import Dialog

pytestmark = pytest.mark.unit

LENGTH = 3_000.0
OPERATORS = tuple(range(1, 6))
COURSES = (
    (),
    ((50.0, DialogStatus.CLOSED),),
    ((5.0, DialogStatus.AWAITING_CUSTOMER), (30.0, DialogStatus.AWAITING_OPERATOR), (70.0, DialogStatus.CLOSED)),
    ((0.0, DialogStatus.AWAITING_CUSTOMER), (400.0, DialogStatus.CLOSING), (500.0, DialogStatus.CLOSED)),
)
STATES = (None, None, PassedOver.OFFLINE, PassedOver.AWAY, PassedOver.WORKDAY_NOT_STARTED, PassedOver.DISMISSED)

presences = st.dictionaries(
    st.sampled_from(OPERATORS),
    st.lists(st.tuples(st.integers(0, 2_000).map(float), st.sampled_from(STATES)), min_size=1, max_size=4).map(
        lambda changes: tuple(sorted(changes, key=lambda change: change[0]))
    ),
)
rosters = st.lists(st.sampled_from(OPERATORS), min_size=1, unique=True).map(tuple)


@st.composite
def streams(draw: st.DrawFn) -> list[Arrival]:
    """Arrivals of two open channels in the order of time."""
    times = sorted(draw(st.lists(st.integers(0, 1_500), min_size=1, max_size=40)))
    return [
        Arrival(
            number,
            draw(st.sampled_from((1, 2))),
            float(at),
            accepted_after=draw(st.sampled_from((None, 0.0, 10.0, 59.0, 60.0, 200.0))),
            accepted=draw(st.booleans()),
            course=draw(st.sampled_from(COURSES)),
            let_pass=frozenset(draw(st.sets(st.sampled_from(OPERATORS), max_size=2))),
            responsible_id=draw(st.sampled_from((None, *OPERATORS))),
        )
        for number, at in enumerate(times)
    ]


@st.composite
def worlds(draw: st.DrawFn) -> Configuration:
    """Two open channels that share operators."""
    channels = {
        number: SimulatedOpenChannel(
            number,
            OpenChannelSettings(
                distribution=draw(st.sampled_from(list(Distribution))),
                max_dialogs=draw(st.sampled_from((None, 1, 2, 3))),
                check_availability=draw(st.booleans()),
                to_responsible=draw(st.booleans()),
            ),
            draw(rosters),
        )
        for number in (1, 2)
    }
    return Configuration(channels, personal_limits=draw(st.dictionaries(st.sampled_from(OPERATORS), st.integers(1, 4))))


def check(simulation: Simulation, configuration: Configuration) -> None:
    """No limit is passed (D7); who has a dialog has it alone, and what nobody has waits (D8)."""
    operators, desks = simulation._crew.operators.values(), simulation._desks.values()
    for operator in operators:
        assert operator.personal_limit is None or operator.personal_held <= operator.personal_limit
        assert operator.personal_held == len(operator.dialogs)
        assert all(dialog.holder_id == operator.id for dialog in operator.dialogs.values())
    for desk in desks:
        for operator in operators:
            held = sum(dialog.desk is desk for dialog in operator.dialogs.values())
            assert desk.held.get(operator.id, 0) == held
            assert desk.settings.max_dialogs is None or held <= desk.settings.max_dialogs
        if desk.oldest(1):
            assert not any(desk.has_room(seat.operator) for seat in desk.seats.values()), "D8: somebody could have it"
        for order in (desk.by_turn, desk.by_given):
            assert order.keys() == desk.seats.keys()
        assert all((a.turn, a.position) <= (b.turn, b.position) for a, b in pairwise(desk.by_turn.values()))
        assert all((a.given, a.position) <= (b.given, b.position) for a, b in pairwise(desk.by_given.values()))


@settings(max_examples=300, deadline=None)
@given(worlds(), presences, streams())
def test_limits_hold_and_nobody_is_lost(configuration, presence, stream):
    """D7, D8: after every arrival and at the end; every dialog waits, is somebody's, or is over."""
    simulation = Simulation(Recording(LENGTH, presence=presence), configuration)
    made: list[Dialog] = []
    make = simulation._make_dialog

    def note(arrival: Arrival) -> Dialog | None:
        if (dialog := make(arrival)) is not None:
            made.append(dialog)
        return dialog

    simulation._make_dialog = note  # type: ignore[method-assign]
    for arrival in stream:
        simulation.arrive(arrival)
        check(simulation, configuration)
    figures = simulation.finish()
    check(simulation, configuration)
    held = [dialog for operator in simulation._crew.operators.values() for dialog in operator.dialogs.values()]
    assert len({id(dialog) for dialog in held}) == len(held)
    for dialog in made:
        assert (dialog in held) + dialog.waits + (dialog.status is DialogStatus.CLOSED) == 1
    sides = figures.open_channels.values()
    assert sum(one.arrivals for one in sides) == len(stream)
    assert sum(one.cut_off for one in sides) == len(held)
    assert sum(one.never_assigned for one in sides) == sum(dialog.waits for dialog in made)
    assert all(one.longest_backlog >= one.never_assigned for one in sides)
    for one in sides:
        assert one.to_acceptance.n <= one.to_assignment.n <= one.arrivals
        assert sum(each.first_assignments for each in one.operators.values()) == one.to_assignment.n


@settings(max_examples=100, deadline=None)
@given(rosters, streams())
def test_first_assignments_differ_by_at_most_one(roster, stream):
    """D13: under D2, with the same people eligible throughout and no limit reached, whoever lets pass."""
    open_channel = SimulatedOpenChannel(1, OpenChannelSettings(), roster)
    configuration = Configuration({1: open_channel, 2: SimulatedOpenChannel(2, OpenChannelSettings(), roster)})
    simulation = Simulation(Recording(LENGTH), configuration)
    for arrival in stream:
        simulation.arrive(arrival)
    for one in simulation.finish().open_channels.values():
        given = [each.first_assignments for each in one.operators.values()]
        assert max(given) - min(given) <= 1

"""The synthetic world: the same seed is the same world, and it is as lively as it says."""

import itertools

import pytest

from loadgen.world import Act, Planned, World
from tests.loadgen_channels import CHANNELS

pytestmark = pytest.mark.unit


def planned(seed: int = 1, run: int = 7, rate: float = 40.0, number: int = 4000) -> list[Planned]:
    return list(itertools.islice(World(seed, run, rate, CHANNELS).plan(), number))


def test_a_seed_is_a_world():
    """The same seed gives the same plan to the last word; another seed gives another."""
    assert planned(seed=3, number=500) == planned(seed=3, number=500)
    assert planned(seed=3, number=500) != planned(seed=4, number=500)


def test_another_run_is_the_same_people_with_new_messages():
    """Customers come back in a second run; none of its messages passes for one of the first."""
    first, second = planned(run=7), planned(run=8)
    assert [one.writing.person for one in first] == [one.writing.person for one in second]
    assert not {one.writing.number for one in first} & {one.writing.number for one in second}


@pytest.mark.parametrize("rate", [2.0, 40.0, 1000.0])
def test_the_rate_is_kept(rate):
    """Messages come at the given rate, repeats apart, in the order of their times."""
    plan = planned(rate=rate)
    messages = [one for one in plan if not one.repeat]
    assert len(messages) / plan[-1].at == pytest.approx(rate, rel=0.1)
    assert [one.at for one in plan] == sorted(one.at for one in plan)


def test_repeats_are_what_was_sent_before():
    """A provider that tries again sends a message that it has sent, some time later."""
    sent: set[int] = set()
    repeats = []
    for one in planned():
        if one.repeat:
            assert one.writing.number in sent
            assert 0.5 <= one.at - one.written_at <= 4.0
            repeats.append(one)
        else:
            assert one.writing.number not in sent
            sent.add(one.writing.number)
    assert 0.02 < len(repeats) / len(sent) < 0.045


def test_the_world_is_varied():
    """Every channel and act of the demo; people use several channels, and say who they are in many of their texts."""
    plan = planned()
    writings = [one.writing for one in plan]
    assert {writing.channel for writing in writings} == {channel.key for channel in CHANNELS}
    assert {writing.act for writing in writings} == {Act.WRITE, Act.SHARE_CONTACT, Act.WRITE_IN_GROUP}
    used: dict[str, set[str]] = {}
    for writing in writings:
        used.setdefault(writing.person.code, set()).add(writing.channel)
    assert {1, 2, 3} == {len(channels) for channels in used.values()}
    assert len({writing.person.country.language for writing in writings}) == 8
    assert any(writing.person.written_phone in writing.text for writing in writings)
    assert any(writing.person.email in writing.text for writing in writings)
    assert any(not writing.text.isascii() for writing in writings)


def test_the_plan_is_lazy():
    """A world without an end is made no further than it is read."""
    assert next(World(1, 1, 5000.0, CHANNELS).plan()).at > 0

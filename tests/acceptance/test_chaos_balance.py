"""The verdict of the proof by chaos: a calm round balances, and whatever is wrong is found once it is planted."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
import redis

from chaos.balance import drained, drained_in, problems, problems_in
from chaos.checks import automatic, cards, dialogs
from tests.chaos_dialog_plants import PLANTED_IN_DIALOGS, WORK_LEFT
from tests.chaos_plants import PLANTED_IN_DATABASE
from tests.chaos_rounds import Round, calm_round
from tests.chaos_spoils import PLANTED_IN_MEMORY
from tests.plugins.servers import create_database, drop_database, of_database

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

PLANTED = {**PLANTED_IN_DATABASE, **PLANTED_IN_DIALOGS}
RULES = (*cards.RULES, *dialogs.RULES, *automatic.RULES)

ENOUGH = """
    SELECT
        (
            SELECT count(*) >= 10 FROM dialogs JOIN open_channels ON open_channels.id = open_channel_id
            WHERE name = 'evenly' AND operator_id IS NOT NULL AND status <> 'closed'
        )
        AND EXISTS (SELECT FROM dialogs WHERE status = 'closed')
        AND EXISTS (SELECT FROM messages WHERE text = 'Thank you, good-bye.')
        AND EXISTS (SELECT FROM merges)
        AND (SELECT count(*) >= 30 FROM messages WHERE operator_id IS NOT NULL)
"""
"""There is something for every plant to spoil."""


@pytest.fixture(scope="module")
def calm(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str, migrated_template: str, valkey_server: str
) -> Iterator[Round]:
    """A round without faults, on which every plant finds what it spoils."""
    name = "openchannel_chaos_calm"
    create_database(postgres_server, name, migrated_template)
    url = of_database(postgres_server, name)
    with redis.Redis.from_url(valkey_server) as client:
        client.flushdb()
    try:
        yield calm_round(tmp_path_factory.mktemp("calm"), url, valkey_server, _enough)
    finally:
        drop_database(postgres_server, name)


def _enough(made: Round) -> bool:
    with psycopg.connect(made.url) as connection:
        ((enough,),) = connection.execute(ENOUGH).fetchall()
    return bool(enough) and made.record.accepted > 200


def test_a_calm_round_balances(calm: Round) -> None:
    """Nothing is found where nothing was broken."""
    assert drained(calm.url) == ""
    assert problems(calm.url, calm.record, calm.api, calm.acts) == []


@pytest.mark.parametrize(("statements", "told"), PLANTED.values(), ids=PLANTED)
def test_what_is_wrong_in_the_database_is_found(calm: Round, statements: list[str], told: str) -> None:
    """Each kind of problem, planted by hand, is told in its own sentence."""
    with psycopg.connect(calm.url) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, f"nothing to spoil: {statement}"
        found = problems_in(connection, calm.record, calm.api, calm.acts)
        connection.rollback()
    assert any(told in problem for problem in found), found


def test_every_rule_has_something_that_breaks_it() -> None:
    """A rule that nothing is planted against may say nothing at all."""
    assert [rule for rule in RULES if not any(told in rule for _, told in PLANTED.values())] == []


@pytest.mark.parametrize(("spoil", "told"), PLANTED_IN_MEMORY.values(), ids=PLANTED_IN_MEMORY)
def test_what_was_sent_or_received_otherwise_is_found(calm: Round, spoil: Callable[[Round], None], told: str) -> None:
    """What the load, the people and the receiver know is held against the database as well."""
    with calm.copied() as spoilt:
        spoil(spoilt)
        found = problems(spoilt.url, spoilt.record, spoilt.api, spoilt.acts)
    assert any(told in problem for problem in found), found


@pytest.mark.parametrize(("statement", "told"), WORK_LEFT.values(), ids=WORK_LEFT)
def test_work_that_is_left_is_waited_for(calm: Round, statement: str, told: str) -> None:
    """Nothing is said to be drained that still has to move."""
    with psycopg.connect(calm.url) as connection:
        assert connection.execute(statement).rowcount != 0
        assert told in drained_in(connection)
        connection.rollback()

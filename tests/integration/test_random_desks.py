"""Any desk survives being applied and exported: desks at random, on real PostgreSQL."""

from pathlib import Path

import psycopg
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cli.desks.exporting import Dumper, export_desk
from cli.desks.plan import Plan
from cli.desks.reading import parse_desk
from cli.desks.writing import carry_out, plan_desk
from crm_store import administration
from crm_store.database import DatabaseOptions, Session
from crm_store.secrets import SecretBox
from tests.commands import SECRET_KEY
from tracker.channels import Counted, CreateWhen, Distribution

pytestmark = pytest.mark.integration

BOX = SecretBox(SECRET_KEY)

_names = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp", "Zs"), exclude_characters="\0"),
    min_size=1,
    max_size=12,
) | st.sampled_from(
    ["NO", "true", "~", "12", "1.5", "- x", "a: b", "#", "null", "*a", "&b", "!c", "'", '"', "A b", "1e5"]
)
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(-1e9, 1e9, allow_nan=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def random_desks(draw: st.DrawFn) -> dict[str, object]:
    """A desk that can be applied, as the file would say it."""
    operators = draw(st.lists(_names, max_size=4, unique=True))
    departments = draw(st.lists(_names, max_size=2, unique=True))
    open_channels = draw(st.lists(_names, max_size=3, unique=True))
    some = st.lists(st.sampled_from(operators), unique=True) if operators else st.just([])
    entries = [{"operator": name} for name in operators] + [{"department": name} for name in departments]
    feeds = draw(
        st.lists(
            st.tuples(st.sampled_from(open_channels), st.sampled_from(["telegram", "webform", "custom", "livechat"])),
            unique=True,
        )
        if open_channels
        else st.just([])
    )
    return {
        "operators": [
            {"name": name, "personal_limit": draw(st.none() | st.integers(1, 9)), "dismissed": draw(st.booleans())}
            for name in operators
        ],
        "departments": [{"name": name, "members": draw(some)} for name in departments],
        "open_channels": [
            {
                "name": name,
                "active": draw(st.booleans()),
                "distribution": draw(st.sampled_from(Distribution)).value,
                "max_dialogs": draw(st.none() | st.integers(1, 99)),
                "counted": draw(st.sampled_from(Counted)).value,
                "create_when": draw(st.none() | st.sampled_from([one.value for one in CreateWhen])),
                "nobody_available_text": draw(_texts),
                "roster": draw(st.permutations(entries) | st.just([])),
            }
            for name in open_channels
        ],
        "channels": [
            {
                "key": f"key-{number}",
                "kind": kind,
                "open_channel": open_channel,
                "name": draw(_names),
                "account_id": draw(_names),
                "region": draw(st.sampled_from([None, "NO", "DE"])),
                "config": draw(st.dictionaries(_names, _json, max_size=3)),
                "active": draw(st.booleans()),
            }
            for number, (open_channel, kind) in enumerate(feeds)
        ],
    }


def _apply(session: Session, text: str) -> Plan:
    with session.transaction() as connection:
        plan, known = plan_desk(connection, "random", parse_desk("random", text, Path(), {}), lambda: BOX)
        carry_out(connection, plan, known)
    return plan


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    derandomize=True,
)
@given(desk=random_desks())
def test_any_desk_survives_apply_and_export(database_url, desk):
    """Applied twice it changes nothing the second time; what is exported says the same, and changes nothing."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE operators, departments, open_channels, channels CASCADE")
    session = Session(DatabaseOptions(database_url, "test"))
    try:
        text = yaml.dump(desk, Dumper=Dumper, allow_unicode=True, sort_keys=False)
        _apply(session, text)
        assert _apply(session, text) == Plan()
        with session.transaction() as connection:
            exported = export_desk(administration.read(connection))
        assert _apply(session, exported) == Plan()
        with session.transaction() as connection:
            assert export_desk(administration.read(connection)) == exported
    finally:
        session.close()

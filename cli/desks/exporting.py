"""What there is, as a file that `openchannel apply` reads without changing anything."""

from collections.abc import Iterable
from typing import Any

import yaml

from cli.desks.plan import DEPARTMENT, OPERATOR, Named, roster_names
from cli.desks.wishes import SecretSource
from crm_store.administration import Known

_HEADER = """\
# Written by `openchannel export`; `openchannel apply` reads it (docs/desks.md).
# Secrets and tokens are not in it: those that there are stay.
"""

WIDTH = 110


class Dumper(yaml.SafeDumper):
    """Writes everything out: aliases are not read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Always."""
        return True


def export_desk(known: Known) -> str:
    """The file's text."""
    names = {one.id: one.name for one in known.open_channels.values()}
    operators = {one.id: one.name for one in known.operators.values()}
    desk = {
        "operators": [
            {
                "name": one.name,
                "role": one.role.value,
                "scope": one.scope.value if one.scope else None,
                "personal_limit": one.personal_limit,
                "time_tracking": one.time_tracking,
                "dismissed": one.dismissed,
            }
            for one in known.operators.values()
        ],
        "departments": [
            {
                "name": one.name,
                "members": [operators[member] for member in one.members],
                "supervisors": sorted(operators[supervisor] for supervisor in one.supervisors),
            }
            for one in known.departments.values()
        ],
        "open_channels": [
            {
                "name": one.name,
                "active": one.active,
                **one.settings.model_dump(mode="json"),
                "roster": list(_roster(known, roster_names(known, one.roster))),
            }
            for one in known.open_channels.values()
        ],
        "channels": [
            {
                "key": one.key,
                "kind": one.kind,
                "name": one.name,
                "open_channel": names[one.open_channel_id],
                "account_id": one.account_id,
                "region": one.region,
                "config": dict(one.config),
                "active": one.active,
                "secrets": SecretSource.KEPT.value,
            }
            for one in known.channels.values()
        ],
    }
    return _HEADER + yaml.dump(desk, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)


def _roster(known: Known, roster: Iterable[Named]) -> Iterable[str | dict[str, str]]:
    for kind, name in roster:
        if kind == DEPARTMENT:
            yield {DEPARTMENT: name}
        else:
            yield {OPERATOR: name} if name in known.departments else name

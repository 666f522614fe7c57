"""A bad release: the step pauses, somebody is told, nothing is lost, and mended it goes on by itself."""

from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.acceptance.broken_worker import BROKEN, RETRY_FOR
from tests.acceptance.system import System, wait_until
from tests.alert_receivers import SECRET, listening
from tests.webhooks import message

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]


def test_a_bad_release_loses_nothing(tmp_path: Path, database_url: str, broker_url: str) -> None:
    """Broken for longer than any item is retried for, with two workers: no dead letter, and each chat in its order."""
    chats = 60
    (tmp_path / BROKEN).touch()
    system = System(tmp_path, database_url, broker_url, workers=0)
    with listening() as receiver:
        system.environment |= {
            "OPENCHANNEL_DATA_DIR": str(tmp_path),
            "OPENCHANNEL_ALERTS__URL": receiver.url,
            "OPENCHANNEL_ALERTS__SECRET": SECRET,
        }
        with system:
            for worker in ("worker-0", "worker-1"):
                system.start(worker, "tests.acceptance.broken_worker")
            system.open_channel("desk", ["telegram"])
            for text in ("first", "second"):
                assert set(system.post_all([message("telegram", 1 + n, text) for n in range(chats)])) == {200}
            broken_for = (
                "SELECT coalesce(max(extract(epoch FROM now() - since)), 0) FROM step_brakes WHERE ended_at IS NULL"
            )
            wait_until(lambda: system.value(broken_for) > RETRY_FOR + 1, "the step is paused for long")
            assert system.get("/readyz")["paused_steps"] == ["bind_chat"]
            wait_until(lambda: bool(receiver.calls), "somebody is told")
            (tmp_path / BROKEN).unlink()
            ledger = system.drained(120)
            assert (ledger.done, ledger.dead) == (2 * chats, 0)
            in_order = (
                "SELECT count(*) FROM (SELECT array_agg(text ORDER BY seq) AS texts FROM messages GROUP BY chat_id) x"
            )
            assert system.value(f"{in_order} WHERE texts = '{{first,second}}'") == chats
            assert system.value("SELECT count(*) FROM step_brakes") == 1
            wait_until(lambda: len(receiver.calls) == 2, "and told that it goes on")
    verified = [Webhook(SECRET).verify(body, headers) for headers, body in receiver.calls]
    assert [told["type"] for told in verified] == ["step.paused", "step.resumed"]

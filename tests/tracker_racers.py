"""Processes that race each other in one database: workers that run all steps, and persons who change their minds."""

import random
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event

import psycopg

from config.topology import INBOX_STEPS
from console import tracking
from console.problems import ProblemError
from crm_store.database import Database, DatabaseOptions
from tests.pipeline import Desk
from tracker.dialogs import ActRefusedError


def work(url: str, stop: Event) -> None:
    """Run every step again and again."""
    with Desk(url) as desk:
        worker = desk.worker()
        while not stop.is_set():
            for step in INBOX_STEPS:
                worker.run(step)


def change_minds(url: str, seed: int, settled: "Synchronized[int]", stop: Event) -> None:
    """Merge, undo, detach and decide at random, on the cards up to the id `settled`."""
    chance = random.Random(seed)
    options = DatabaseOptions(url, "person", pool_size=1)
    with Database(options) as database, psycopg.connect(url, autocommit=True) as looking:

        def some(query: str) -> int | None:
            rows = looking.execute(f"{query} ORDER BY random() LIMIT 1", [settled.value]).fetchall()
            return int(rows[0][0]) if rows else None

        while not stop.wait(chance.uniform(0, 0.01)):
            card_id, other_id = (some("SELECT id FROM cards WHERE type <> 'deal' AND id <= %s") for _ in range(2))
            merge_id = some("SELECT id FROM merges WHERE undone_at IS NULL AND greatest(card_id, other_id) <= %s")
            chat_id = some("SELECT id FROM chats WHERE card_id <= %s")
            review_id = some("SELECT id FROM reviews WHERE state = 'open' AND greatest(card_id, other_id) <= %s")
            try:
                match chance.randrange(6):
                    case 0 if card_id and other_id:
                        tracking.merge(database, "person", card_id, other_id, "one customer")
                    case 1 | 2 if merge_id:
                        tracking.undo(database, "person", merge_id, "not one customer")
                    case 3 if chat_id:
                        tracking.detach_chat(database, "person", chat_id, "somebody else")
                    case 4 if review_id:
                        tracking.accept_review(database, "person", review_id, "one customer")
                    case 5 if review_id:
                        tracking.reject_review(database, "person", review_id, "two customers")
            except (ActRefusedError, ProblemError):
                continue  # another was faster

"""The work of each step of the inbox: what runners run, and what a rehearsal of a replay runs without effect."""

from collections.abc import Mapping

from config.topology import Step
from worker.runner import Besides, Handler
from worker.steps.bind_chat import bind_chat
from worker.steps.crm_lookup import crm_lookup
from worker.steps.distribute import distribute, serve_due_backlogs
from worker.steps.ensure_card import ensure_card
from worker.steps.respond import respond

HANDLERS: Mapping[Step, Handler] = {
    Step.CRM_LOOKUP: crm_lookup,
    Step.BIND_CHAT: bind_chat,
    Step.ENSURE_CARD: ensure_card,
    Step.DISTRIBUTE: distribute,
    Step.RESPOND: respond,
}

BESIDES: Mapping[Step, Besides] = {Step.DISTRIBUTE: serve_due_backlogs}

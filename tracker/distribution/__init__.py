"""Who gets which dialog (D2-D9, D12, D13), as pure policies: a snapshot in, decisions with explanations out.

A policy is one small file here, and a line in `planning.POLICIES`.
"""

from tracker.distribution.planning import free_slots, plan
from tracker.distribution.values import UNLIMITED, Decision, PassedOver, Plan, RosterOperator, WaitingDialog

__all__ = ["UNLIMITED", "Decision", "PassedOver", "Plan", "RosterOperator", "WaitingDialog", "free_slots", "plan"]

"""What a recorded period would have been under another configuration: a simulation that drives the product's policies.

Recorded are arrivals, presence and handling; the distribution is decided anew by `tracker.distribution.plan`. There is
no clock, no chance and no I/O in it. docs/simulation.md states what is assumed.
"""

from tracker.simulation.actual import ActualPeriod
from tracker.simulation.configuration import Configuration, SimulatedOpenChannel
from tracker.simulation.figures import Figures, OpenChannelFigures, OperatorFigures, Waiting
from tracker.simulation.recording import Arrival, OpenDialog, Recording, Turn
from tracker.simulation.simulation import Simulation

__all__ = [
    "ActualPeriod",
    "Arrival",
    "Configuration",
    "Figures",
    "OpenChannelFigures",
    "OpenDialog",
    "OperatorFigures",
    "Recording",
    "SimulatedOpenChannel",
    "Simulation",
    "Turn",
    "Waiting",
]

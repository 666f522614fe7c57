"""How the result of a load test is shown: live, in a terminal, as JSON and as one page."""

from loadgen.reporting.files import write
from loadgen.reporting.live import Live, Progress
from loadgen.reporting.terminal import show

__all__ = ["Live", "Progress", "show", "write"]

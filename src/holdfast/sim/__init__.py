"""Floor 5: the simulator. The real core on virtual time, in a world that is broken on purpose, judged by the truth.

See docs/simulator.md. For callers: `what_if` plays given faults, `search` lets seeds draw them.
"""

from holdfast.sim.asking import SearchResult, WhatIf, search, what_if
from holdfast.sim.faults import Fault, FaultKind

__all__ = ["Fault", "FaultKind", "SearchResult", "WhatIf", "search", "what_if"]

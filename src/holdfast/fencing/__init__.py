"""Fencing: Debian's fence agents as they are, and programs of the operator's own.

`powering_off.py` turns a host off and sees that it is; `device.py` speaks to one fence agent; `instructing.py` makes what the agent
is told; `running.py` runs a program within a time limit; `hiding.py` keeps secrets out of what is printed;
`metadata.py` reads what an agent says of itself, and `checking.py` holds a policy to that before it is needed.
"""

from holdfast.fencing.agents import FenceAgents
from holdfast.fencing.checking import problems_of

__all__ = ["FenceAgents", "problems_of"]

"""Heartbeats between agents, over UDP: authentic, fresh, and with the instant at which they came.

`sealing.py` proves that a packet comes from somebody with the cluster's key, `believing.py` that it is no recording, and
`ear.py` says when it came; `beating.py` puts them together.
"""

from holdfast.beating.beating import Beating
from holdfast.beating.letters import Ours
from holdfast.beating.refusing import Refusal

__all__ = ["Beating", "Ours", "Refusal"]

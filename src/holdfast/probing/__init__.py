"""Probing: asking components how they are, cheaply enough to ask thousands of them every second.

`engine.py` decides when; the askers (`knocking.py`, `talking.py`, `programs.py`) ask; sans-IO dialogues
(`dialogue.py`, `http_exchange.py`) judge what came back; `verdict.py` says in one place what an error proves.
"""

from holdfast.probing.engine import ProbeEngine

__all__ = ["ProbeEngine"]

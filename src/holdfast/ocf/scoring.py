"""Promotion scores: how much an agent wants its component to be primary, and whether it lets it at all.

An agent that gives scores gives one to each member that may be promoted; who has none, or a negative one, must not be: its data may be old.
Metadata does not say which agents give scores. What they call for it stands in their text.
"""

import re
from functools import lru_cache
from pathlib import Path

from holdfast.config.resource_agents import path_of
from holdfast.ocf.attributes import INFINITY
from holdfast.ocf.resource import Resource

_GIVES_SCORES = re.compile(rb"""crm_master|ocf_promotion_score|crm_attribute["']?\s+(--promotion|-p)\b""")


def why_unscored(resource: Resource, score: int | None) -> str:
    """Return why it must not be promoted by the word of its agent; empty: it may be, or its agent gives no scores."""
    if not resource.agent.is_promotable or not resource.record.is_begun:
        return ""
    if score is None and is_scoring(resource.agent.provider_agent):
        return "its resource agent has given it no promotion score"
    if score is not None and score < 0:
        return f"its resource agent forbids it: its promotion score is {_as_text(score)}"
    return ""


def is_scoring(provider_agent: str) -> bool:
    """Tell whether an agent gives scores."""
    path = path_of(provider_agent)
    try:
        return _is_scoring(path, path.stat().st_mtime_ns)
    except OSError:
        return False


@lru_cache(maxsize=512)
def _is_scoring(path: Path, _changed: int) -> bool:
    return _GIVES_SCORES.search(path.read_bytes()) is not None


def _as_text(score: int) -> str:
    return {INFINITY: "INFINITY", -INFINITY: "-INFINITY"}.get(score, str(score))

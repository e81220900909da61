"""Floor 3: the file becomes a policy. Every error names its place, the key, the value and what is allowed."""

from holdfast.config.accounts import Accounts
from holdfast.config.loading import load, load_text
from holdfast.config.planning import Change, Plan, plan
from holdfast.config.problems import ConfigError, Problem
from holdfast.config.schema import schema
from holdfast.config.weaknesses import Weakness, WeaknessCode

__all__ = [
    "Accounts",
    "Change",
    "ConfigError",
    "Plan",
    "Problem",
    "Weakness",
    "WeaknessCode",
    "load",
    "load_text",
    "plan",
    "schema",
]

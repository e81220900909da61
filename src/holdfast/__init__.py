"""holdfast keeps services up: detect, diagnose, fail over, recover."""

__version__ = "0.1.0"

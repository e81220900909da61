"""`python -m holdfast.demo`: the demonstration."""

import sys

from holdfast.demo.running import run_demo

if __name__ == "__main__":
    sys.exit(run_demo())

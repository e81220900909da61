"""Several hosts, simulated: the real cluster loop and the real loop of each host, between clocks that drift and links that fail.

See docs/simulator.md, "Several hosts".
"""

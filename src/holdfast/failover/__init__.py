"""Step 3, fail over: who should serve, and where the traffic should go. Pure."""

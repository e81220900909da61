"""Floor 3: what the agent asks of the world, as protocols. Every adapter and every fake passes one contract suite each."""

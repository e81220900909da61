"""Floor 0: the words everything else is said in. Values only; nothing here reads a clock or a file."""

"""Floor 6: the command line. A verb gathers facts, a pure function turns them into text, an exit code sums them up."""

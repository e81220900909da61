"""Floor 2: the loop that joins the five steps into one turn. Pure."""

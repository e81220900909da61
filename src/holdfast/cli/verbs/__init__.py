"""The verbs, a module per group of them. Each is imported only when it is used: help and completion stay quick."""

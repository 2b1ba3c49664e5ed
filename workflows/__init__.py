"""When what happens: from a request to a delivered, verified diff."""

"""How fast a host can notice what its network tells it: the agent, the least that any program can do, and peers."""

"""What the agent costs on a host of many interfaces, addresses, triggers and routes, at several sizes of it."""

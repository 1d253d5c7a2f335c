"""A network of namespaces with real daemons in it, and what end-to-end tests need to watch an agent there."""

"""Many files over HTTP, whole or not at all. Knows addresses, hosts and archives; no data set, no medicine."""

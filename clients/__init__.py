"""The reference phone for app developers: it knows the HTTP API and nothing of the server's inside."""

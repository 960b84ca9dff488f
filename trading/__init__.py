"""The trading day, and the project: settings, addresses, entry points, embedded servers."""

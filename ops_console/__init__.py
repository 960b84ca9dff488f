"""Everything a person or a client touches: pages, API, admin."""

"""The REST API for programs, `/api/v1`: it parses, makes one call, and renders."""

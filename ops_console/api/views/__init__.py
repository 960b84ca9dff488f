"""Views of the API: parse, one call, render."""

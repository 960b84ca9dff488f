"""Pages and the commands behind their buttons: parse, one call, render."""

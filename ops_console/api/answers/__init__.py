"""What the API answers: each shape beside the function that fills it; a test holds the two together."""

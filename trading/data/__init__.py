"""Long work on data, for the process `jobs`: imports of bars, features before they are needed."""

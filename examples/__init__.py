"""Complete projects on real data that a new user runs first."""

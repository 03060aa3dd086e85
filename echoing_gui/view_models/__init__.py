"""Pure functions from the state to what is drawn: numbers in millimetres, ready texts; no Qt."""

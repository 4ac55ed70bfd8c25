"""The parts of the Fairness page."""

"""What the Models page is made of: every model there is, side by side, in and out."""

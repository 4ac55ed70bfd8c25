"""What a data set holds and leaves out, as small tables with n and intervals. pandas only; no pages."""

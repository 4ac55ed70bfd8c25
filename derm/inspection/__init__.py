"""What the pictures of a data set are like, and what to say of it: quality, tone, repeats, findings, datasheet."""

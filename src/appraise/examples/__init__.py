"""Data: where rows come from, how they become examples, what is wrong with them, who has them."""

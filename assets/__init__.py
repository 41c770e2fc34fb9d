"""What exists: how each asset appears and what is checked of it. No algorithms."""

"""What looks at a finished project: summary, costs, verification, agreement, several targets."""

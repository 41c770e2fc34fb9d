"""appraise: which datasets to buy for a target task, what each is worth, and why."""

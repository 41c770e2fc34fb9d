"""Steps: what each reads and how it is made; how a step is run, where, and who records it."""

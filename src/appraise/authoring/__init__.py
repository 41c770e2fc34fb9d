"""What a person would write, written for them: a new project, an offer, a part of a target."""

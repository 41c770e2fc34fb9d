"""Settings: one class for each section of `params.yaml`; `project.params` puts them together."""

"""The Python interface: `appraise.value` on gradients, `appraise.value_datasets` on rows."""

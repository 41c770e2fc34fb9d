"""What each dataset is worth to a target: one module for each method of valuation."""

"""The language model: encoding, gradients, training and evaluation. No paths of a project."""

"""The mathematics: arrays in, frozen dataclasses out. No files, no torch, no environment."""

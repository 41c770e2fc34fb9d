"""Storage: artifacts as files, hashed, written so that a kill leaves the old one or the new one."""

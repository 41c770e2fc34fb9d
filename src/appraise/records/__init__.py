"""What crosses the disk: one typed record for each artifact, with its reader and its writer."""

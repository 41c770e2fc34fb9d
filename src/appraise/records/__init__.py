"""Records: one typed record for each artifact, with its file names, one reader and one writer."""

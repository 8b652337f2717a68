"""Where a corpus comes from: downloads, object stores, mirrors, folders, hub data sets."""

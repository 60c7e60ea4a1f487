"""Web: the data server, over which content is read and written by signed URLs."""

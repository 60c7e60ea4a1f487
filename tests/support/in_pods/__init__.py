"""The platform over a real cluster, as its users meet it: tasks run as pods, what is large goes by S3."""

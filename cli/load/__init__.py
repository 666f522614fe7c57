"""`openchannel load`: drives the public webhooks as the world does, and knows the truth."""

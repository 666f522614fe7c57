"""`openchannel simulate`: a recorded period under another configuration."""

"""What `openchannel doctor` looks at; each check gives findings, and never fails."""

"""What the desk did, held against what was sent to it. Pure: nothing here asks anybody."""

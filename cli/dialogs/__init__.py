"""`openchannel dialogs`: who has which dialog, since when and why."""

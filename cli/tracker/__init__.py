"""`openchannel tracker`: commands about the chat tracker."""

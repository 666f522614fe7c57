"""The checks of the verdict. Each says in sentences what does not hold, and names ids."""

"""What cannot be computed with what was sent."""


class Refused(ValueError):
    """One sentence that says what is wrong with the request and what would be right."""

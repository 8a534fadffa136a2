"""What a name is: of a team, and of everything that a team names."""

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"

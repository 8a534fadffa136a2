"""`python -m app.cli`: how a clone and the supervisor start the command."""

from app.cli import main

if __name__ == "__main__":
    main()

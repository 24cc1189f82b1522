"""`python -m facedancer` is the command `facedancer`."""

from facedancer.command import main

if __name__ == "__main__":
    main()

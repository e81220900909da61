"""`python -m holdfast.cli`: the command line, where the console script is not on the path."""

from holdfast.cli.main import main

if __name__ == "__main__":
    main()

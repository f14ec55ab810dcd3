"""`python -m netsim.cli`."""

from netsim.cli import main

if __name__ == "__main__":
    main()

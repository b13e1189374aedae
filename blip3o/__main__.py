"""python -m blip3o, so that `torchrun -m blip3o train ...` works."""

from blip3o.cli import main

if __name__ == "__main__":
    main()

"""`python -m breakwater`: the same as the `breakwater` command."""

from breakwater.cli import main

main()

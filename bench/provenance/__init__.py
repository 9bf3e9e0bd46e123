"""The origin of a number: the chain from a table's cell to the command that makes it again."""

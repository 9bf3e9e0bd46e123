"""Where a number comes from: the chain from a table's cell to the command that makes it again."""

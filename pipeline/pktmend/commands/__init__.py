"""The commands, a module or a folder each.  None imports another; the one exception is bench, which runs a bridge."""

"""What a shell loads to complete words: a file for each; the words themselves come from `pktmend` at the TAB key."""

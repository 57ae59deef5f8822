"""The public C header pktmend/stage.h, for native stages (see pktmend.include_dir)."""

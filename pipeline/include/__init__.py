"""The public C header pp.h, for native stages (see pipeline.include_dir)."""

"""The bad rows of an upload: listed, shown, mended, sent again."""

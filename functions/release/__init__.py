"""Release: an approved version in, a promoted one (or the old one back) out."""

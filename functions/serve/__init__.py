"""Serve: HTTPS in, an answer and a capture line out."""

"""The command's words: each reads them, calls one function, shows what came back."""

"""How good a model still is: estimated without labels, realised with them."""
